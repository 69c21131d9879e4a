package runs

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/checkpoint"

	"example.com/geometric-complexity/internal/atomicfile"
	"example.com/geometric-complexity/internal/sealed"
)

// A run's checkpoints are folders checkpoint/save-N-step-S, the N-th that was
// saved and the step that it is of. Each holds all that a run is made of: the
// variables, as GoMLX's checkpoint package writes them, and in state.json the
// points measured so far, how the run ended if it did, and the SHA-256 of each
// of the other files. It is written under another name, synced, and appears by
// a rename; the one before is removed only when the one after it is there.
const (
	CheckpointDir = "checkpoint"
	StateFile     = "state.json"
)

var checkpointName = regexp.MustCompile(`^save-(\d+)-step-(\d+)$`)

// State is what a checkpoint holds beside the variables.
type State struct {
	Address string `json:"address"` // of the run
	Save    int64  `json:"save"`
	Step    int64  `json:"step"`
	// Status is empty for a run that is not at its end.
	Status  Status  `json:"status,omitempty"`
	Message string  `json:"message,omitempty"`
	Points  []Point `json:"points"`
	// Files has the SHA-256 of the other files of the folder.
	Files map[string]string `json:"files"`
}

// Name of the checkpoint's folder.
func (s *State) Name() string { return fmt.Sprintf("save-%d-step-%d", s.Save, s.Step) }

// Checkpoints are those of a run whose folder is locked.
type Checkpoints struct {
	runDir, address string
	save            int64  // the number of the newest one, readable or not
	good            string // the name of the one that was saved or restored last; empty if none
}

// Dir is the folder that they are in.
func (c *Checkpoints) Dir() string { return filepath.Join(c.runDir, CheckpointDir) }

// Current is the name of the one that was written or restored last; empty if none was.
func (c *Checkpoints) Current() string { return c.good }

// RemoveOthers removes all but the current one.
func (c *Checkpoints) RemoveOthers() error { return c.removeAllBut(c.good) }

// Write saves all variables of the store with the state after a step. The
// checkpoint before it is kept, except beside the last one of a run.
func (c *Checkpoints) Write(store *model.Store, s State) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("checkpoint of step %d: %w", s.Step, err)
		}
	}()
	s.Address, s.Save = c.address, c.save+1
	if err := atomicfile.MkdirAll(c.Dir()); err != nil {
		return err
	}
	temporary, err := os.MkdirTemp(c.Dir(), ".tmp-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary) // It is not there any more if all went well.
	if err := fillCheckpoint(temporary, store, s); err != nil {
		return err
	}
	if err := os.Rename(temporary, filepath.Join(c.Dir(), s.Name())); err != nil {
		return err
	}
	if err := atomicfile.SyncDir(c.Dir()); err != nil {
		return err
	}
	before := c.good
	c.save, c.good = s.Save, s.Name()
	if s.Status != "" {
		return c.removeAllBut(c.good)
	}
	return c.removeAllBut(c.good, before)
}

// fillCheckpoint writes the files of a checkpoint into an empty folder.
func fillCheckpoint(dir string, store *model.Store, s State) (err error) {
	if err := saveStore(store, dir); err != nil {
		return err
	}
	if s.Files, err = fileSums(dir); err != nil {
		return err
	}
	data, err := sealed.Marshal(s)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, StateFile), data, 0o644); err != nil {
		return err
	}
	return atomicfile.SyncFiles(dir)
}

// saveStore writes one GoMLX checkpoint into an empty folder. Without
// compression: weights hardly compress, and the compressing writer of GoMLX
// v0.28 leaves its file open. GoMLX v0.28 also returns no error for a variable
// that it could not write, and leaves it out: what is there is compared with the
// store.
func saveStore(store *model.Store, dir string) error {
	loader := store.Loader()
	defer store.SetLoader(loader) // the handler attaches itself to the store
	handler, err := checkpoint.Build(store).Dir(dir).ExcludeAllParams().WithCompression(checkpoint.BinUncompressed).Done()
	if err != nil {
		return err
	}
	if err := handler.Save(); err != nil {
		return err
	}
	return checkSaved(store, dir)
}

// checkSaved compares a GoMLX checkpoint, the only one in its folder, with the
// store: it has all variables, and their values take all of its data file.
func checkSaved(store *model.Store, dir string) error {
	metadata, err := filepath.Glob(filepath.Join(dir, "*"+checkpoint.JsonNameSuffix))
	if err != nil || len(metadata) != 1 {
		return fmt.Errorf("%s has %d files of metadata, want 1 (%v)", dir, len(metadata), err)
	}
	raw, err := os.ReadFile(metadata[0])
	if err != nil {
		return err
	}
	var saved struct {
		Variables []struct {
			ParameterName string
			Length        int64
		}
	}
	if err := json.Unmarshal(raw, &saved); err != nil {
		return fmt.Errorf("%s: %w", metadata[0], err)
	}
	lengths := make(map[string]int64)
	total := int64(0)
	for _, v := range saved.Variables {
		lengths[v.ParameterName] = v.Length
		total += v.Length
	}
	for v := range store.IterVariables() {
		if lengths["var:"+v.Path()] != int64(v.Shape().ByteSize()) {
			return fmt.Errorf("variable %s could not be written", v.Path())
		}
	}
	data, err := os.Stat(strings.TrimSuffix(metadata[0], checkpoint.JsonNameSuffix) + checkpoint.BinDataSuffix)
	if err != nil {
		return err
	}
	if data.Size() != total {
		return fmt.Errorf("%d bytes of variables were written, want %d", data.Size(), total)
	}
	return nil
}

// fileSums gives the SHA-256 of each file of a checkpoint but its state.
func fileSums(dir string) (map[string]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	sums := make(map[string]string)
	for _, entry := range entries {
		if entry.Name() == StateFile {
			continue
		}
		if sums[entry.Name()], err = fileSum(filepath.Join(dir, entry.Name())); err != nil {
			return nil, err
		}
	}
	return sums, nil
}

func fileSum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// removeAllBut removes older checkpoints and what a kill left half written. What
// is removed loses its name first, so that a kill leaves no half of a checkpoint
// that looks like a whole one.
func (c *Checkpoints) removeAllBut(keep ...string) error {
	entries, err := os.ReadDir(c.Dir())
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if slices.Contains(keep, entry.Name()) {
			continue
		}
		path := filepath.Join(c.Dir(), entry.Name())
		if !strings.HasPrefix(entry.Name(), ".") {
			unnamed := filepath.Join(c.Dir(), ".tmp-"+entry.Name())
			if err := os.Rename(path, unnamed); err != nil {
				return err
			}
			path = unnamed
		}
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	return nil
}

// Restore puts the variables of the newest checkpoint that can be read into an
// empty store, and returns its state, nil if the run has no checkpoint. Of those
// that were passed over the errors say why. If there are checkpoints and none
// can be read, that is an error.
func (c *Checkpoints) Restore(store *model.Store) (s *State, passedOver []error, err error) {
	found, err := ListCheckpoints(c.runDir)
	if err != nil || len(found) == 0 {
		return nil, nil, err
	}
	c.save = found[0].Save
	for _, candidate := range found {
		dir := filepath.Join(c.Dir(), candidate.Name())
		s, err := ReadState(dir, c.address)
		if err != nil {
			passedOver = append(passedOver, err)
			continue
		}
		c.good = s.Name()
		return s, passedOver, loadCheckpoint(store, dir)
	}
	return nil, nil, fmt.Errorf("%w; no other checkpoint can be read: to start the run anew, remove %s",
		passedOver[0], c.Dir())
}

// ListCheckpoints lists the checkpoints of a run by what their names say, the
// newest first.
func ListCheckpoints(runDir string) (found []State, err error) {
	entries, err := os.ReadDir(filepath.Join(runDir, CheckpointDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		match := checkpointName.FindStringSubmatch(entry.Name())
		if match == nil {
			continue
		}
		save, errSave := strconv.ParseInt(match[1], 10, 64)
		step, errStep := strconv.ParseInt(match[2], 10, 64)
		if errSave == nil && errStep == nil {
			found = append(found, State{Save: save, Step: step})
		}
	}
	slices.SortFunc(found, func(a, b State) int {
		return cmp.Or(cmp.Compare(b.Save, a.Save), cmp.Compare(b.Step, a.Step))
	})
	return found, nil
}

// ReadState reads the state of a checkpoint of a run, and checks that all files
// of the folder are what was saved there.
func ReadState(dir, address string) (*State, error) {
	raw, err := os.ReadFile(filepath.Join(dir, StateFile))
	if err != nil {
		return nil, damaged(dir, err)
	}
	var s State
	if err := sealed.Unmarshal(raw, &s); err != nil {
		return nil, damaged(filepath.Join(dir, StateFile), err)
	}
	if s.Name() != filepath.Base(dir) {
		return nil, damaged(dir, fmt.Errorf("it was saved as %s", s.Name()))
	}
	if s.Address != address {
		return nil, damaged(dir, fmt.Errorf("it is of run %s", s.Address))
	}
	sums, err := fileSums(dir)
	if err != nil {
		return nil, damaged(dir, err)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Files)) {
		if sums[name] != s.Files[name] {
			return nil, damaged(filepath.Join(dir, name), sealed.ErrBroken)
		}
	}
	if len(sums) != len(s.Files) {
		return nil, damaged(dir, errors.New("there are files that were not saved there"))
	}
	return &s, nil
}

func damaged(path string, err error) error {
	if at := (*fs.PathError)(nil); errors.As(err, &at) {
		err = fmt.Errorf("%s: %w", filepath.Base(at.Path), at.Err)
	}
	return fmt.Errorf("%s cannot be used: %w", path, err)
}

// loadCheckpoint puts the variables of a checkpoint folder into an empty store.
func loadCheckpoint(store *model.Store, dir string) error {
	handler, err := checkpoint.Load(store).Dir(dir).ExcludeAllParams().Done()
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	// GoMLX loads a variable when a graph first asks for it. Loading all of them
	// now lets the store be saved again at any time, unused ones included.
	for _, key := range slices.Sorted(maps.Keys(handler.LoadedVariables())) {
		path := strings.TrimPrefix(key, "var:")
		v := store.GetVariable(path)
		if v == nil {
			return fmt.Errorf("%s: variable %s does not load", dir, path)
		}
		// Loaded variables count as trainable. Layers and optimizers set theirs
		// right when their graph is built; nobody does for the random state.
		if path == "/"+model.RNGStateVariableName {
			v.SetTrainable(false)
		}
	}
	store.SetLoader(nil)
	return nil
}

// LoadNewest puts the variables of the newest checkpoint of a run's folder into an empty store, and
// returns the step that it is of.
func LoadNewest(dir, address string, store *model.Store) (step int64, err error) {
	found, err := ListCheckpoints(dir)
	if err != nil {
		return 0, err
	}
	if len(found) == 0 {
		return 0, fmt.Errorf("%s: the run has no checkpoint yet", dir)
	}
	newest := filepath.Join(dir, CheckpointDir, found[0].Name())
	s, err := ReadState(newest, address)
	if err != nil {
		return 0, fmt.Errorf("%w; remove %s to use what is left", err, newest)
	}
	return s.Step, loadCheckpoint(store, newest)
}
