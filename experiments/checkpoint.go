package experiments

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/checkpoint"
)

// A checkpoint is a folder checkpoint/step-N that GoMLX's checkpoint package
// wrote. GoMLX writes its two files in place, and a kill between them leaves a
// checkpoint that does not load; so each is written to a folder of its own,
// synced, and renamed when it is whole. The older ones are removed only then.
const (
	checkpointDir  = "checkpoint"
	checkpointStep = "step-"
)

// saveCheckpoint saves all variables of the store as the state after a step.
func saveCheckpoint(runDir string, store *model.Store, step int64) (err error) {
	parent := filepath.Join(runDir, checkpointDir)
	if err := os.MkdirAll(parent, 0o777); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(parent, ".tmp-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(dir)
			err = fmt.Errorf("checkpoint of step %d: %w", step, err)
		}
	}()
	if err := saveStore(store, dir); err != nil {
		return err
	}
	if err := syncFiles(dir); err != nil {
		return err
	}
	name := checkpointStep + strconv.FormatInt(step, 10)
	final := filepath.Join(parent, name)
	// The same step may be there already, from before an interruption.
	if err := os.RemoveAll(final); err != nil {
		return err
	}
	if err := os.Rename(dir, final); err != nil {
		return err
	}
	return removeOthers(parent, name)
}

// saveStore writes one GoMLX checkpoint into an empty folder. Without
// compression: weights hardly compress, and the compressing writer of GoMLX
// v0.28 leaves its file open.
func saveStore(store *model.Store, dir string) error {
	loader := store.Loader()
	defer store.SetLoader(loader) // the handler attaches itself to the store
	handler, err := checkpoint.Build(store).Dir(dir).ExcludeAllParams().WithCompression(checkpoint.BinUncompressed).Done()
	if err != nil {
		return err
	}
	return handler.Save()
}

func syncFiles(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		f, err := os.OpenFile(filepath.Join(dir, entry.Name()), os.O_RDWR, 0)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// removeOthers removes older checkpoints and what a kill left half written.
func removeOthers(parent, keep string) error {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.Name() != keep {
			if err := os.RemoveAll(filepath.Join(parent, entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// latestCheckpoint returns the step of a run's newest checkpoint and its
// folder, or -1 if there is none.
func latestCheckpoint(runDir string) (step int64, dir string, err error) {
	parent := filepath.Join(runDir, checkpointDir)
	entries, err := os.ReadDir(parent)
	if errors.Is(err, fs.ErrNotExist) {
		return -1, "", nil
	}
	if err != nil {
		return -1, "", err
	}
	step = -1
	for _, entry := range entries {
		number, ok := strings.CutPrefix(entry.Name(), checkpointStep)
		if n, err := strconv.ParseInt(number, 10, 64); ok && err == nil && n > step {
			step, dir = n, filepath.Join(parent, entry.Name())
		}
	}
	return step, dir, nil
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

// weightsDigest is the SHA-256 of the network's variables: their paths, shapes
// and bytes, in the order of their paths.
func weightsDigest(store *model.Store) (string, error) {
	variables := make(map[string]*model.Variable)
	for v := range store.IterVariables() {
		if strings.HasPrefix(v.Path(), "/"+modelScope+"/") {
			variables[v.Path()] = v
		}
	}
	hash := sha256.New()
	for _, path := range slices.Sorted(maps.Keys(variables)) {
		value, err := variables[path].Value()
		if err != nil {
			return "", err
		}
		fmt.Fprintf(hash, "%s %s\n", path, value.Shape())
		if err := value.ConstBytes(func(data []byte) { hash.Write(data) }); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
