package training

import (
	"context"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/metric"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/stats"
	"github.com/geometric-complexity/toolkit/layers"
)

// TestMeasurementEqualsGoMLXAndMeasure compares the measurements during training with GoMLX's own
// evaluation and gcml.Measure, over a set that no batch size divides.
func TestMeasurementEqualsGoMLXAndMeasure(t *testing.T) {
	const n = 1030 // batches of 500, 500 and 30
	gctest.ForEachBackend(t, func(t *testing.T, backend compute.Backend) {
		data, err := Data{Name: datasets.NameFashionMNISTSubset, Train: n, Test: 20}.load(Network{Kind: KindMLP}, 0)
		if err != nil {
			t.Fatal(err)
		}
		fn, err := MLP(1, 16).function(data.outputs)
		if err != nil {
			t.Fatal(err)
		}
		store := model.NewStore()
		if err := store.SetRNGStateFromSeed(4); err != nil {
			t.Fatal(err)
		}
		e, err := newEvaluator(backend, store, fn, data, gridOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer e.finalize()
		batches := e.parts[0].sets["train"]
		if sizes := len(batches); sizes != 3 || batches[2].n != 30 {
			t.Fatalf("%d batches, the last of %d; want 500, 500, 30", sizes, batches[sizes-1].n)
		}
		point, err := e.measure(context.Background(), 0)
		if err != nil {
			t.Fatal(err)
		}

		set, err := subset(datasets.NameFashionMNISTSubset, datasets.Train, n)
		if err != nil {
			t.Fatal(err)
		}
		ds, err := datasets.NewBatches(set, 103).Format(datasets.Format{Flat: true}).Done()
		if err != nil {
			t.Fatal(err)
		}
		result, err := gcml.Measure(context.Background(), backend, store, fn, ds)
		if err != nil {
			t.Fatal(err)
		}
		trainer := train.NewTrainer(backend, store, fn, data.lossFn, optimizer.StochasticGradientDescent(), nil,
			[]metric.Interface{metric.NewSparseCategoricalAccuracy("accuracy", "acc")})
		metrics, err := trainer.Eval(ds)
		if err != nil {
			t.Fatal(err)
		}
		want := []float64{result.GC, shapes.ConvertTo[float64](metrics[0].Value()),
			shapes.ConvertTo[float64](metrics[1].Value())}
		got := []float64{point.Value("train_gc"), point.Value("train_loss"), point.Value("train_accuracy")}
		gctest.AssertClose(t, got, want, 1e-5, 0, "GC, loss, accuracy")
	})
}

// TestMeasurementOfGCOnFewerExamples checks that GC on fewer examples than the loss is measured on
// a balanced sample of them.
func TestMeasurementOfGCOnFewerExamples(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, backend compute.Backend) {
		data, err := Data{Name: datasets.NameFashionMNISTSubset, Train: 100, Test: 50, MeasureGC: 20}.load(Network{},
			0)
		if err != nil {
			t.Fatal(err)
		}
		fn, err := ResNet18(2, layers.NormBatch).function(data.outputs)
		if err != nil {
			t.Fatal(err)
		}
		store := model.NewStore()
		if err := store.SetRNGStateFromSeed(4); err != nil {
			t.Fatal(err)
		}
		e, err := newEvaluator(backend, store, fn, data, gridOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer e.finalize()
		point, err := e.measure(context.Background(), 0)
		if err != nil {
			t.Fatal(err)
		}
		for name, split := range map[string]datasets.Split{"train": datasets.Train, "test": datasets.Test} {
			set, err := subset(datasets.NameFashionMNISTSubset, split, map[string]int{"train": 100, "test": 50}[name])
			if err != nil {
				t.Fatal(err)
			}
			if set, err = balanced(set, "", 20, subsetSeed); err != nil {
				t.Fatal(err)
			}
			ds, err := datasets.NewBatches(set, 20).Done()
			if err != nil {
				t.Fatal(err)
			}
			result, err := gcml.Measure(context.Background(), backend, store, fn, ds)
			if err != nil {
				t.Fatal(err)
			}
			gctest.AssertClose(t, []float64{point.Value(name + "_gc")}, []float64{result.GC}, 1e-4, 0, name+" GC")
			if !stats.Finite(point.Value(name + "_loss")) {
				t.Errorf("no loss on the %s set: %v", name, point.Values)
			}
		}
	})
}

func TestSplit(t *testing.T) {
	for _, tc := range []struct{ n, batches, first, last int }{
		{10, 1, 10, 10}, {500, 1, 500, 500}, {1000, 2, 500, 500}, {510, 2, 255, 255}, {1030, 3, 500, 30},
	} {
		curve, err := datasets.Parabola(tc.n)
		if err != nil {
			t.Fatal(err)
		}
		x, y, err := curve.Tensors(dtypes.Float32)
		if err != nil {
			t.Fatal(err)
		}
		batches, err := split(examples{tc.n, x, y})
		if err != nil {
			t.Fatal(err)
		}
		total := 0
		for _, b := range batches {
			if b.inputs.Shape().Dim(0) != b.n || b.labels.Shape().Dim(0) != b.n {
				t.Errorf("n = %d: a batch of %d holds inputs %s, labels %s", tc.n, b.n, b.inputs.Shape(), b.labels.Shape())
			}
			total += b.n
		}
		if len(batches) != tc.batches || batches[0].n != tc.first || batches[len(batches)-1].n != tc.last || total != tc.n {
			t.Errorf("n = %d: %d batches from %d to %d examples; want %+v", tc.n, len(batches), batches[0].n,
				batches[len(batches)-1].n, tc)
		}
	}
}
