package training

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/nearest"
	"github.com/geometric-complexity/toolkit/internal/settings"
)

// Trained is a network that a run trained, with its weights.
type Trained struct {
	Task  *Train
	Seed  int64
	Step  int64 // the step of its checkpoint
	Store *model.Store
	// Model is the network without penalties: inputs [batch, ...] to logits [batch, outputs].
	Model func(scope *model.Scope, x *graph.Node) *graph.Node
	// Outputs is the number of logits.
	Outputs int
	// Loss is the training loss without penalties, for the labels of TrainingExamples.
	Loss train.LossFn
	// InputNode is the alias of the node that GC is taken with respect to, see gcml.WithInputNode:
	// the embeddings of a transformer's tokens. It is empty for the inputs.
	InputNode string

	data     *runs.DataContent // that it was trained on
	measured *datasets.Images  // the training images on which the run measured its loss; nil for a curve and texts
}

// NoNetworkError reports a run that leaves no network.
type NoNetworkError struct{ Dir, Kind string }

// Error implements error.
func (e *NoNetworkError) Error() string {
	return fmt.Sprintf("%s: a run of kind %q leaves no network, only one of kind %q does", e.Dir, e.Kind, (&Train{}).Kind())
}

// OpenRun loads the network of a run's folder, out/runs/ADDRESS, at its newest checkpoint. The
// caller owns its store.
func OpenRun(dir string) (*Trained, error) {
	return open(dir, func(address string, store *model.Store) (int64, error) {
		return runs.LoadNewest(dir, address, store)
	})
}

// IsOutdated says whether a record of a training is of another revision than one of this program:
// its numbers then come from other code.
func IsOutdated(record *runs.Record) (bool, error) {
	task := &Train{}
	if record.Kind != task.Kind() {
		return false, fmt.Errorf("run %s is of kind %q, want %q", record.Hash, record.Kind, task.Kind())
	}
	if err := json.Unmarshal(record.Task, task); err != nil {
		return false, fmt.Errorf("run %s: %w", record.Hash, err)
	}
	return record.Revision != task.Revision(), nil
}

// OpenCheckpoints loads the network of a run's folder at each of its checkpoints, the oldest first.
// The caller owns the stores.
func OpenCheckpoints(dir string) (all []*Trained, err error) {
	found, err := runs.ListCheckpoints(dir)
	if err != nil {
		return nil, err
	}
	for _, checkpoint := range slices.Backward(found) {
		t, err := open(dir, func(address string, store *model.Store) (int64, error) {
			return runs.LoadCheckpoint(dir, address, checkpoint, store)
		})
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	if len(all) == 0 {
		if _, err := runs.ReadFolder(dir); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%s: %w", dir, runs.ErrNoCheckpoint)
	}
	return all, nil
}

// open loads the network of a run's folder with the variables that a function loads.
func open(dir string, load func(address string, store *model.Store) (step int64, err error)) (*Trained, error) {
	run, err := runs.ReadFolder(dir)
	if err != nil {
		return nil, err
	}
	if kind := (&Train{}).Kind(); run.Kind != kind {
		return nil, &NoNetworkError{dir, run.Kind}
	}
	t := &Trained{Task: &Train{}, Seed: run.Seed, Store: model.NewStore(), data: run.Data}
	if err := json.Unmarshal(run.Task, t.Task); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	if err := settings.CheckSize(t.Task); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	if t.Step, err = load(run.Hash, t.Store); err != nil {
		return nil, err
	}
	data, err := t.Task.load(t.Seed)
	if err != nil {
		return nil, err
	}
	t.Outputs, t.Loss, t.measured = data.outputs, data.lossFn, data.images.measured["train"]
	t.InputNode = data.inputNode
	t.Model, err = t.Task.function(data.outputs)
	return t, err
}

// DefaultBatchSize is the number of examples in a batch of Trained.Dataset.
const DefaultBatchSize = 500

// Dataset returns one pass over the examples of a set, in order, for measuring the network: the
// first n (0 for all) of a split of one of datasets.Names, or for a curve the points that the
// network was trained on, as one batch. An empty name selects the set that the network was trained
// on, and its classes, which the set's name then ends in. A batch size of 0 selects
// DefaultBatchSize.
func (t *Trained) Dataset(name string, split datasets.Split, n, batchSize int) (train.Dataset, error) {
	trainedOn := name == ""
	if trainedOn {
		name = t.Task.Data.Name
	}
	if err := t.Task.Network.checkInputs(name); err != nil {
		return nil, err
	}
	if draw := curves[name]; draw != nil {
		if n > 0 || split != datasets.Train || batchSize > 0 {
			return nil, fmt.Errorf("%s is a curve: all points that the network was trained on are measured, as one batch, and it has no "+
				"test split", name)
		}
		curve, err := draw(t.Task.Data.Train)
		if err != nil {
			return nil, err
		}
		return curve.Dataset(dtypes.Float32, false)
	}
	if batchSize == 0 {
		batchSize = DefaultBatchSize
	}
	if name == datasets.NameGoDocs {
		return t.texts(split, n, batchSize, trainedOn)
	}
	if names := append(datasets.Names(), slices.Sorted(maps.Keys(curves))...); !slices.Contains(names, name) {
		return nil, nearest.Unknown("data set", name, names)
	}
	data := Data{Name: name}
	if trainedOn {
		data.Classes = t.Task.Data.Classes
	}
	images, err := data.draw(split, data.Classes, 0)
	if err != nil {
		return nil, err
	}
	if trainedOn {
		if err := t.checkUnnamed(images.SHA256); err != nil {
			return nil, err
		}
	}
	if len(data.Classes) > 0 { // Results name what was measured, and only the same examples are compared.
		some := *images
		some.Name = fmt.Sprintf("%s (classes %s)", images.Name, strings.Trim(fmt.Sprint(data.Classes), "[]"))
		images = &some
	}
	if n != 0 {
		if images, err = images.First(n); err != nil {
			return nil, err
		}
	}
	return datasets.NewBatches(images, batchSize).Format(t.Task.Network.format()).Done()
}

// TrainingExamples returns one pass over the training images on which the run measured its training
// loss, in order, with the labels that it was trained on. It returns an error for a curve, and if
// the images have changed since.
func (t *Trained) TrainingExamples(batchSize int) (*datasets.Batches, error) {
	if t.measured == nil {
		return nil, fmt.Errorf("data set %s has no images", t.Task.Data.Name)
	}
	if err := t.checkContent(t.measured.SHA256); err != nil {
		return nil, err
	}
	return datasets.NewBatches(t.measured, batchSize).Format(t.Task.Network.format()).Done()
}

// checkContent returns an error if this is not the content of the data set that the network was
// trained on.
func (t *Trained) checkContent(sha256 string) error {
	if t.data != nil && sha256 != t.data.SHA256 {
		return fmt.Errorf("data set %s is not what the network was trained on (SHA-256 %.8s… here, %.8s… there)",
			t.Task.Data.Name, sha256, t.data.SHA256)
	}
	return nil
}

// checkUnnamed is checkContent for a set that [Trained.Dataset] was not given by name.
func (t *Trained) checkUnnamed(sha256 string) error {
	if err := t.checkContent(sha256); err != nil {
		return fmt.Errorf("%w; to measure on it all the same, name it", err)
	}
	return nil
}

// Initial returns a store with the weights that the run began with. They are drawn anew from the
// run's seed, so that the backend must draw the same random numbers as the run's did: compare the
// loss with that of the run's first point. The caller owns the store.
func (t *Trained) Initial(backend compute.Backend) (*model.Store, error) {
	batches, err := t.TrainingExamples(1)
	if err != nil {
		return nil, err
	}
	store := model.NewStore()
	if err := store.SetRNGStateFromSeed(t.Seed); err != nil {
		return nil, err
	}
	exec, err := model.NewExec(backend, store, func(scope *model.Scope, x *graph.Node) *graph.Node {
		scope.Store().SetTraining(x.Graph(), false)
		return t.Model(scope, x)
	})
	if err != nil {
		return nil, err
	}
	defer exec.Finalize()
	for batch, err := range batches.Iter() {
		if err != nil {
			return nil, err
		}
		outputs, err := exec.Call(batch.Inputs[0])
		if err == nil {
			err = outputs[0].FinalizeAll()
		}
		return store, errors.Join(err, batch.Finalize())
	}
	return nil, fmt.Errorf("data set %s has no images", t.Task.Data.Name)
}

// texts is Dataset for texts.
func (t *Trained) texts(split datasets.Split, n, batchSize int, trainedOn bool) (train.Dataset, error) {
	texts, err := datasets.GoDocs(split)
	if err != nil {
		return nil, err
	}
	if trainedOn {
		if err := t.checkUnnamed(texts.SHA256); err != nil {
			return nil, err
		}
	}
	tokenizer, err := t.Task.Network.tokenizer()
	if err != nil {
		return nil, err
	}
	if n != 0 {
		if texts, err = texts.First(n); err != nil {
			return nil, err
		}
	}
	return datasets.NewTextBatches(texts, batchSize, tokenizer).Done()
}
