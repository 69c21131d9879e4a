package training

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"gonum.org/v1/gonum/mat"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/layers"
)

// spectrumTask trains an MLP for one step on few examples.
func spectrumTask() *Train {
	return &Train{
		Data:    Data{Name: datasets.NameFashionMNISTSubset, Train: 12, Test: 6, MeasureGC: 6, Classes: []int{4, 0, 2}},
		Network: MLP(1, 5), LearningRate: 0.1, Steps: 1, Measurements: 1, Spectrum: true}
}

// plainJacobian is W₂·diag(W₁x + b₁ > 0)·W₁ of an MLP with one hidden layer, [outputs, inputs].
func plainJacobian(weights []*mat.Dense, biases [][]float64, x []float64) *mat.Dense {
	hidden := mat.NewVecDense(len(biases[0]), nil)
	hidden.MulVec(weights[0].T(), mat.NewVecDense(len(x), x))
	first := mat.DenseCopyOf(weights[0].T())
	for j, bias := range biases[0] {
		if hidden.AtVec(j)+bias <= 0 {
			first.SetRow(j, make([]float64, len(x)))
		}
	}
	var jacobian mat.Dense
	jacobian.Mul(weights[1].T(), first)
	return &jacobian
}

// TestSpectrumAgainstSVD measures a network, and computes the same from its weights in double
// precision by gonum's singular value decomposition of each example's Jacobian.
func TestSpectrumAgainstSVD(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, backend compute.Backend) {
		record, weights, biases := trainMLP(t, backend, spectrumTask())
		var mean, largest, rank, gc float64
		for _, class := range imagesOf(t, []int{4, 0, 2}, 12, 6) {
			for _, x := range class {
				jacobian := plainJacobian(weights, biases, x)
				var svd mat.SVD
				if !svd.Factorize(jacobian, mat.SVDNone) {
					t.Fatal("no singular values")
				}
				top, frobenius := svd.Values(nil)[0], mat.Norm(jacobian, 2)
				mean, gc = mean+top/6, gc+frobenius*frobenius/6
				rank += frobenius * frobenius / (top * top) / 6
				largest = max(largest, top)
			}
		}
		p := record.Final()
		for name, want := range map[string]float64{"lipschitz": mean, "lipschitz_max": largest, "stable_rank": rank,
			"root_gc":               math.Sqrt(gc),
			"lipschitz_bound_ratio": max(mean/math.Sqrt(gc), math.Sqrt(gc)/(math.Sqrt(3)*largest))} {
			gctest.AssertClose(t, []float64{p.Value(name)}, []float64{want}, 1e-4, 0, name)
		}
		gctest.AssertClose(t, []float64{math.Pow(p.Value("root_gc"), 2)}, []float64{p.Value("train_gc")}, 1e-5, 0,
			"the square of root_gc against GC")
	})
}

// TestSpectrumLeavesTrainingAlone: singular values do not change the weights, however often they
// are measured. The network has batch norm, whose averages a measurement must not move.
func TestSpectrumLeavesTrainingAlone(t *testing.T) {
	weights := func(change func(*Train)) string {
		task := spectrumTask()
		task.Network = ResNet18(1, layers.NormBatch)
		task.Network.Pool, task.BatchSize, task.Steps = 7, 6, 3
		change(task)
		env := runs.Env{Backend: gctest.GoBackend(t), Out: t.TempDir()}
		return execute(t, env, runs.Run{Label: "spectrum", Seed: 2, Task: task}).Weights
	}
	once := weights(func(*Train) {})
	if often := weights(func(r *Train) { r.Measurements = 3 }); often != once {
		t.Errorf("weights %.8s with three measurements, %.8s with one", often, once)
	}
	if without := weights(func(r *Train) { r.Spectrum = false }); without != once {
		t.Errorf("weights %.8s without singular values, %.8s with them", without, once)
	}
}

func TestSpectrumNeedsImages(t *testing.T) {
	task := &Train{Data: Data{Name: NameParabola, Train: 10}, Network: MLP(1, 5), LearningRate: 0.1, Steps: 1,
		Measurements: 1, Spectrum: true}
	job := &runs.Job{Env: runs.Env{Backend: gctest.GoBackend(t), Out: t.TempDir()}, Dir: t.TempDir(),
		Record: &runs.Record{}}
	const want = "spectrum: the data set has no images"
	if err := task.Do(t.Context(), job); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v; want %q", err, want)
	}
}

// trainMLP does the run of a task, and returns its record with the weights and biases of its
// layers.
func trainMLP(t *testing.T, backend compute.Backend, task *Train) (record *runs.Record, weights []*mat.Dense,
	biases [][]float64) {
	t.Helper()
	env := runs.Env{Backend: backend, BackendName: "test", Out: t.TempDir()}
	record = execute(t, env, runs.Run{Label: "trained", Seed: 4, Task: task})
	trained, err := OpenRun(filepath.Join(env.Out, runs.RunsDir, record.Hash))
	if err != nil {
		t.Fatal(err)
	}
	defer trained.Store.Finalize()
	weights, biases, err = mlpWeights(trained.Store, "/"+ModelScope+"/", task.Network.HiddenLayers)
	if err != nil {
		t.Fatal(err)
	}
	return record, weights, biases
}
