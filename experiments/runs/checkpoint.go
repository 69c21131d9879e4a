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

	"github.com/geometric-complexity/toolkit/internal/atomicfile"
	"github.com/geometric-complexity/toolkit/internal/sealed"
)

// A run's checkpoints are folders checkpoint/save-N-step-S: N counts the saves and S is the
// training step. Each holds the whole state of the run: the variables, as GoMLX's checkpoint
// package writes them, and state.json with the points measured so far, the run's status if it has
// ended, and the SHA-256 of every other file. A checkpoint is written under a temporary name,
// synced and then renamed; the previous one is removed only after that.
const (
	CheckpointDir = "checkpoint"
	StateFile     = "state.json"
)

var checkpointName = regexp.MustCompile(`^save-(\d+)-step-(\d+)$`)

// State is the content of a checkpoint apart from the variables.
type State struct {
	Address string `json:"address"` // of the run
	Save    int64  `json:"save"`
	Step    int64  `json:"step"`
	// Status is empty until the run has ended.
	Status  Status  `json:"status,omitempty"`
	Message string  `json:"message,omitempty"`
	Points  []Point `json:"points"`
	// Files maps the names of the folder's other files to their SHA-256.
	Files map[string]string `json:"files"`
}

// Name returns the name of the checkpoint's folder.
func (s *State) Name() string { return fmt.Sprintf("save-%d-step-%d", s.Save, s.Step) }

// Checkpoints are the checkpoints of one run. The caller holds the lock of the run's folder.
type Checkpoints struct {
	runDir, address string
	save            int64  // number of the newest checkpoint, even if it is unreadable
	current         string // name of the checkpoint saved or restored last; empty if none
	keep            bool   // the checkpoints of earlier steps
}

// Dir returns the folder that holds the checkpoints.
func (c *Checkpoints) Dir() string { return filepath.Join(c.runDir, CheckpointDir) }

// Current returns the name of the checkpoint written or restored last; it is empty if there is
// none.
func (c *Checkpoints) Current() string { return c.current }

// RemoveOthers removes all checkpoints except the current one, and those to keep.
func (c *Checkpoints) RemoveOthers() error { return c.removeAllBut(c.current) }

// Write saves all variables of the store with the state after a step. It keeps the previous
// checkpoint unless the run has ended.
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
	defer os.RemoveAll(temporary) // After success it has been renamed.
	if err := fillCheckpoint(temporary, store, s); err != nil {
		return err
	}
	if err := os.Rename(temporary, filepath.Join(c.Dir(), s.Name())); err != nil {
		return err
	}
	if err := atomicfile.SyncDir(c.Dir()); err != nil {
		return err
	}
	before := c.current
	c.save, c.current = s.Save, s.Name()
	if s.Status != "" {
		return c.removeAllBut(c.current)
	}
	return c.removeAllBut(c.current, before)
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

// saveStore writes one GoMLX checkpoint into an empty folder. It does not compress, because weights
// hardly compress and GoMLX v0.28's compressing writer leaves its file open. GoMLX v0.28 also omits
// a variable that it fails to write without returning an error, so the files are compared with the
// store.
func saveStore(store *model.Store, dir string) error {
	loader := store.Loader()
	defer store.SetLoader(loader) // The handler attaches itself to the store.
	handler, err := checkpoint.Build(store).Dir(dir).ExcludeAllParams().WithCompression(checkpoint.BinUncompressed).Done()
	if err != nil {
		return err
	}
	if err := handler.Save(); err != nil {
		return err
	}
	return checkSaved(store, dir)
}

// checkSaved compares the only GoMLX checkpoint in a folder with the store: all variables must be
// in it, and their values must fill its data file.
func checkSaved(store *model.Store, dir string) error {
	metadata, err := filepath.Glob(filepath.Join(dir, "*"+checkpoint.JsonNameSuffix))
	if err != nil || len(metadata) != 1 {
		return fmt.Errorf("%s has %d metadata files, want 1 (%v)", dir, len(metadata), err)
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

// fileSums returns the SHA-256 of each file of a checkpoint except its state.
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

// removeAllBut removes all other checkpoints, and those that a killed process left incomplete. If
// checkpoints are kept, it keeps the newest one of each step before the current one. Each is
// renamed before it is removed: a process killed during the removal then leaves nothing that looks
// like a complete checkpoint.
func (c *Checkpoints) removeAllBut(keep ...string) error {
	if c.keep {
		earlier, err := c.newestOfEarlierSteps()
		if err != nil {
			return err
		}
		keep = append(keep, earlier...)
	}
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

// newestOfEarlierSteps returns the names of the newest checkpoint of each step before the current
// one.
func (c *Checkpoints) newestOfEarlierSteps() (names []string, err error) {
	found, err := ListCheckpoints(c.runDir)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(found, func(s State) bool { return s.Name() == c.current })
	if at < 0 {
		return nil, nil
	}
	step := found[at].Step
	for _, s := range found[at+1:] {
		if s.Step < step {
			names, step = append(names, s.Name()), s.Step
		}
	}
	return names, nil
}

// Restore loads the variables of the newest readable checkpoint into an empty store and returns the
// checkpoint's state, or nil if the run has no checkpoint. The errors in skipped say why newer
// checkpoints are unreadable. It returns an error if there are checkpoints and all are unreadable.
func (c *Checkpoints) Restore(store *model.Store) (s *State, skipped []error, err error) {
	found, err := ListCheckpoints(c.runDir)
	if err != nil || len(found) == 0 {
		return nil, nil, err
	}
	c.save = found[0].Save
	for _, candidate := range found {
		dir := filepath.Join(c.Dir(), candidate.Name())
		s, err := ReadState(dir, c.address)
		if err != nil {
			skipped = append(skipped, err)
			continue
		}
		c.current = s.Name()
		return s, skipped, loadCheckpoint(store, dir)
	}
	return nil, nil, fmt.Errorf("%w; all other checkpoints are unreadable too: remove %s to restart the run",
		skipped[0], c.Dir())
}

// ListCheckpoints lists the checkpoints of a run, newest first. Only Save and Step of each state
// are set, from the folder's name.
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

// ReadState reads the state of a run's checkpoint, and returns an error if any file of the folder
// was changed, removed or added since.
func ReadState(dir, address string) (*State, error) {
	raw, err := os.ReadFile(filepath.Join(dir, StateFile))
	if err != nil {
		return nil, unusable(dir, err)
	}
	var s State
	if err := sealed.Unmarshal(raw, &s); err != nil {
		return nil, unusable(filepath.Join(dir, StateFile), err)
	}
	if s.Name() != filepath.Base(dir) {
		return nil, unusable(dir, fmt.Errorf("it was saved as %s", s.Name()))
	}
	if s.Address != address {
		return nil, unusable(dir, fmt.Errorf("it belongs to run %s", s.Address))
	}
	sums, err := fileSums(dir)
	if err != nil {
		return nil, unusable(dir, err)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Files)) {
		if sums[name] != s.Files[name] {
			return nil, unusable(filepath.Join(dir, name), sealed.ErrBroken)
		}
	}
	if len(sums) != len(s.Files) {
		return nil, unusable(dir, errors.New("there are files that were not saved there"))
	}
	return &s, nil
}

func unusable(path string, err error) error {
	if at := (*fs.PathError)(nil); errors.As(err, &at) {
		err = fmt.Errorf("%s: %w", filepath.Base(at.Path), at.Err)
	}
	return fmt.Errorf("cannot use %s: %w", path, err)
}

// loadCheckpoint loads the variables of a checkpoint folder into an empty store.
func loadCheckpoint(store *model.Store, dir string) error {
	handler, err := checkpoint.Load(store).Dir(dir).ExcludeAllParams().Done()
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	// GoMLX loads a variable when a graph first uses it. Loading all of them now makes later saves
	// of the store complete, including variables that no graph has used yet.
	for _, key := range slices.Sorted(maps.Keys(handler.LoadedVariables())) {
		path := strings.TrimPrefix(key, "var:")
		v := store.GetVariable(path)
		if v == nil {
			return fmt.Errorf("%s: cannot load variable %s", dir, path)
		}
		// GoMLX marks loaded variables as trainable. Layers and optimizers correct this for their
		// variables when they build a graph; nothing does for the random number generator's state.
		if path == "/"+model.RNGStateVariableName {
			v.SetTrainable(false)
		}
	}
	store.SetLoader(nil)
	return nil
}

// ErrNoCheckpoint is wrapped by the errors for runs that have saved no checkpoint.
var ErrNoCheckpoint = errors.New("the run has no checkpoint yet")

// LoadNewest loads the variables of the newest checkpoint of a run's folder into an empty store,
// and returns its step.
func LoadNewest(dir, address string, store *model.Store) (step int64, err error) {
	found, err := ListCheckpoints(dir)
	if err != nil {
		return 0, err
	}
	if len(found) == 0 {
		return 0, fmt.Errorf("%s: %w", dir, ErrNoCheckpoint)
	}
	step, err = LoadCheckpoint(dir, address, found[0], store)
	if err != nil {
		newest := filepath.Join(dir, CheckpointDir, found[0].Name())
		return 0, fmt.Errorf("%w; remove %s to use an older checkpoint", err, newest)
	}
	return step, nil
}

// LoadCheckpoint loads the variables of one of the checkpoints that ListCheckpoints lists into an
// empty store, and returns its step.
func LoadCheckpoint(dir, address string, which State, store *model.Store) (step int64, err error) {
	path := filepath.Join(dir, CheckpointDir, which.Name())
	s, err := ReadState(path, address)
	if err != nil {
		return 0, err
	}
	return s.Step, loadCheckpoint(store, path)
}
