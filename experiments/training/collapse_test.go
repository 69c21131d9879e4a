package training

import (
	"bytes"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/ml/model"
	"gonum.org/v1/gonum/mat"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/numbers"
	"github.com/geometric-complexity/toolkit/layers"
	"github.com/geometric-complexity/toolkit/representation"
)

// collapseTask has few examples of three classes, out of their order, and of two others.
func collapseTask() *Train {
	return &Train{
		Data:    Data{Name: datasets.NameFashionMNISTSubset, Train: 12, Test: 6, MeasureGC: 6, Classes: []int{4, 0, 2}},
		Network: MLP(1, 5), LearningRate: 0.1, Steps: 1, Measurements: 1,
		Collapse: &Collapse{Target: []int{9, 1}, Examples: 8, Shots: []int{1, 2}, Episodes: 20}}
}

// plainEmbedding is the hidden layer of the network, relu(x·W + b), from the variables of the
// store.
func plainEmbedding(t *testing.T, store *model.Store) (func(x []float64) []float64, []float64) {
	t.Helper()
	values := func(name string) []float64 {
		v, err := numbers.Float64s(store.GetVariable("/model/embedding/fnn_output_layer/" + name).MustValue())
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	w, b := values("weights"), values("biases")
	return func(x []float64) []float64 {
		h := slices.Clone(b)
		for i, v := range x {
			for j := range h {
				h[j] += v * w[i*len(h)+j]
			}
		}
		for j := range h {
			h[j] = max(h[j], 0)
		}
		return h
	}, w
}

// imagesOf reads images as rows of float64, by class in the order of the classes.
func imagesOf(t *testing.T, classes []int, n, fewer int) (byClass [][][]float64) {
	t.Helper()
	all, err := subset(datasets.NameFashionMNISTSubset, datasets.Train, 0)
	if err != nil {
		t.Fatal(err)
	}
	all, err = all.OfClasses(classes...)
	if err == nil {
		all, err = all.Balanced(n/len(classes), subsetSeed)
	}
	if err == nil && fewer > 0 {
		all, err = all.Balanced(fewer/len(classes), subsetSeed)
	}
	if err != nil {
		t.Fatal(err)
	}
	byClass = make([][][]float64, len(classes))
	for i, label := range all.Labels {
		var row []float64
		for _, pixel := range all.Image(i) {
			row = append(row, float64(pixel)/255)
		}
		byClass[label] = append(byClass[label], row)
	}
	return byClass
}

// plainCollapse is the mean over the pairs of classes of (s_i + s_j)/(2·squared distance of means).
func plainCollapse(classes [][][]float64, spread []float64) (sum float64) {
	var means [][]float64
	for _, rows := range classes {
		mean := make([]float64, len(rows[0]))
		for _, row := range rows {
			for k, v := range row {
				mean[k] += v / float64(len(rows))
			}
		}
		means = append(means, mean)
	}
	pairs := 0.0
	for i := range means {
		for j := range i {
			var d float64
			for k := range means[i] {
				d += math.Pow(means[i][k]-means[j][k], 2)
			}
			sum, pairs = sum+(spread[i]+spread[j])/(2*d), pairs+1
		}
	}
	return sum / pairs
}

// mapped applies a function to each row, and returns the variance of each class too: half the mean
// squared distance of two of its examples.
func mapped(classes [][][]float64, fn func([]float64) []float64) (out [][][]float64, variances []float64) {
	for _, rows := range classes {
		var images [][]float64
		for _, row := range rows {
			images = append(images, fn(row))
		}
		var v float64
		for _, a := range images {
			for _, b := range images {
				for k := range a {
					v += math.Pow(a[k]-b[k], 2) / 2 / float64(len(images)*len(images))
				}
			}
		}
		out, variances = append(out, images), append(variances, v)
	}
	return out, variances
}

// TestCollapseAgainstPlainForms measures an untrained network, and computes the same in double
// precision: the embedding by loops, its GC by central differences.
func TestCollapseAgainstPlainForms(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, backend compute.Backend) {
		env := runs.Env{Backend: backend, BackendName: "test", Out: t.TempDir()}
		record := execute(t, env, runs.Run{Label: "collapse", Seed: 4, Task: collapseTask()})
		trained, err := OpenRun(filepath.Join(env.Out, runs.RunsDir, record.Hash))
		if err != nil {
			t.Fatal(err)
		}
		defer trained.Store.Finalize()
		embedding, _ := plainEmbedding(t, trained.Store)
		source := imagesOf(t, []int{4, 0, 2}, 12, 0)
		features, variances := mapped(source, embedding)
		cdnv := plainCollapse(features, variances)
		var gc []float64
		var mean float64
		for _, rows := range imagesOf(t, []int{4, 0, 2}, 12, 6) {
			var class float64
			for _, row := range rows {
				class += squaredJacobian(embedding, row) / float64(len(rows))
			}
			gc = append(gc, class)
			mean += class / 3
		}
		geometric := plainCollapse(features, gc)
		variance := 0.0
		for _, rows := range source {
			variance = max(variance, eigenvalue(t, rows))
		}
		target := imagesOf(t, []int{9, 1}, 8, 0)
		unseen, spread := mapped(target, embedding)
		p := record.Final()
		want := map[string]float64{"embedding_gc": mean, "cdnv": cdnv, "geometric_collapse": geometric,
			"input_variance": variance, "bound_ratio": cdnv / variance / geometric, "target_cdnv": plainCollapse(unseen, spread),
			FewShotName(1): fewShot(t, unseen, 1), FewShotName(2): fewShot(t, unseen, 2)}
		for name, value := range want {
			gctest.AssertClose(t, []float64{p.Value(name)}, []float64{value}, 1e-4, 0, name)
		}
		// The network has an output for each class of the source, and runs as it was trained.
		ds, err := trained.Dataset("", datasets.Test, 0, 100)
		if err != nil || trained.Outputs != 3 || ds.(*datasets.Batches).NumExamples() != 300 {
			t.Fatalf("%d outputs, data %v (%v); want 3 outputs, 300 examples", trained.Outputs, ds, err)
		}
		// Networks are compared on sets of the same name.
		if want := datasets.NameFashionMNISTSubset + "/test (classes 4 0 2)"; ds.Name() != want {
			t.Errorf("the data set is named %q, want %q", ds.Name(), want)
		}
	})
}

// squaredJacobian returns the squared Frobenius norm of the Jacobian by central differences.
func squaredJacobian(fn func([]float64) []float64, x []float64) (sum float64) {
	const h = 1e-5
	x = slices.Clone(x)
	for i, v := range x {
		x[i] = v + h
		up := fn(x)
		x[i] = v - h
		down := fn(x)
		x[i] = v
		for k := range up {
			sum += math.Pow((up[k]-down[k])/(2*h), 2)
		}
	}
	return sum
}

// eigenvalue returns the largest eigenvalue of the covariance of the rows by gonum's decomposition
// of the Gram matrix, which has the same.
func eigenvalue(t *testing.T, rows [][]float64) float64 {
	t.Helper()
	n := len(rows)
	centered := mat.NewDense(n, len(rows[0]), nil)
	for k := range rows[0] {
		var mean float64
		for _, row := range rows {
			mean += row[k] / float64(n)
		}
		for i, row := range rows {
			centered.Set(i, k, row[k]-mean)
		}
	}
	var gram mat.SymDense
	gram.SymOuterK(1/float64(n), centered)
	var svd mat.SVD
	if !svd.Factorize(&gram, mat.SVDNone) {
		t.Fatal("no singular values")
	}
	return svd.Values(nil)[0]
}

func fewShot(t *testing.T, classes [][][]float64, shots int) float64 {
	t.Helper()
	// The draws depend on the place of the labels alone: examples of a class in their order.
	all, err := subset(datasets.NameFashionMNISTSubset, datasets.Train, 0)
	if err == nil {
		all, err = all.OfClasses(9, 1)
	}
	if err == nil {
		all, err = all.Balanced(4, subsetSeed)
	}
	if err != nil {
		t.Fatal(err)
	}
	var features []float64
	var labels []int64
	next := make([]int, len(classes))
	for _, label := range all.Labels {
		features, labels = append(features, classes[label][next[label]]...), append(labels, int64(label))
		next[label]++
	}
	accuracy, err := representation.FewShotAccuracy(features, labels, shots, 20, subsetSeed)
	if err != nil {
		t.Fatal(err)
	}
	return accuracy
}

func TestLargestVariance(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, shape := range [][2]int{{3, 10}, {40, 5}, {20, 20}} {
		rows := make([][]float64, shape[0])
		for i := range rows {
			rows[i] = make([]float64, shape[1])
			for k := range rows[i] {
				rows[i][k] = 3 + random.NormFloat64()*float64(k+1)
			}
		}
		want := eigenvalue(t, rows)
		gctest.AssertClose(t, []float64{largestVariance(rows)}, []float64{want}, 1e-5, 0, "largest variance")
	}
	if v := largestVariance([][]float64{{1, 2}, {1, 2}}); v != 0 {
		t.Errorf("variance %g of equal rows", v)
	}
}

// TestEmbeddingPenalty compares a step of gradient descent with the penalty with one without. For
// one hidden layer the GC of the embedding is the sum over the units of ‖w‖² times the fraction of
// examples on which the unit is active, so that its gradient is 2·w times that fraction.
func TestEmbeddingPenalty(t *testing.T) {
	const coefficient = 0.5
	gctest.ForEachBackend(t, func(t *testing.T, backend compute.Backend) {
		env := runs.Env{Backend: backend, BackendName: "test", Out: t.TempDir()}
		weights := func(rate, coefficient float64) ([]float64, func([]float64) []float64) {
			task := collapseTask()
			task.LearningRate, task.Collapse.Episodes = rate, 1
			if coefficient > 0 {
				task.Penalties = map[string]float64{PenaltyEmbeddingGC: coefficient}
			}
			record := execute(t, env, runs.Run{Label: "penalty", Seed: 4, Task: task})
			trained, err := OpenRun(filepath.Join(env.Out, runs.RunsDir, record.Hash))
			if err != nil {
				t.Fatal(err)
			}
			defer trained.Store.Finalize()
			fn, w := plainEmbedding(t, trained.Store)
			return w, fn
		}
		// So small a rate leaves the initial weights as they are.
		start, embedding := weights(1e-30, 0)
		plain, _ := weights(0.1, 0)
		penalized, _ := weights(0.1, coefficient)
		const units = 5
		active := make([]float64, units)
		for _, rows := range imagesOf(t, []int{4, 0, 2}, 12, 0) {
			for _, row := range rows {
				for j, h := range embedding(row) {
					if h > 0 {
						active[j] += 1.0 / 12
					}
				}
			}
		}
		var got, want []float64
		for i, w := range start {
			got = append(got, penalized[i]-plain[i])
			want = append(want, -0.1*coefficient*2*w*active[i%units])
		}
		gctest.AssertClose(t, got, want, 1e-4, 1e-7, "change of the weights")
	})
}

func TestCollapseErrors(t *testing.T) {
	for want, change := range map[string]func(*Train){
		"class 9 is in the source and in the target": func(r *Train) { r.Data.Classes = []int{9, 2} },
		"0 classes of the source":                    func(r *Train) { r.Data.Classes = nil },
		"1 of the target":                            func(r *Train) { r.Collapse.Target = []int{9} },
		"4 examples of each target class":            func(r *Train) { r.Collapse.Shots = []int{4} },
		"0 episodes":                                 func(r *Train) { r.Collapse.Episodes = 0 },
		"estimator":                                  func(r *Train) { r.Collapse.Estimator = "guess" },
		"there is no class 12":                       func(r *Train) { r.Collapse.Target = []int{9, 12} },
		"excludes the penalty gc": func(r *Train) {
			r.Penalties = map[string]float64{PenaltyGC: 1, PenaltyEmbeddingGC: 1}
		},
		"it needs collapse": func(r *Train) {
			r.Collapse, r.Penalties = nil, map[string]float64{PenaltyEmbeddingGC: 1}
		},
		"an embedding needs 1 or more": func(r *Train) { r.Network = MLP(0, 0) },
		"parabola has no classes": func(r *Train) {
			r.Data, r.Collapse = Data{Name: NameParabola, Train: 10, Classes: []int{0, 1}}, nil
		},
	} {
		task := collapseTask()
		change(task)
		job := &runs.Job{Env: runs.Env{Backend: gctest.GoBackend(t), Out: t.TempDir()}, Dir: t.TempDir(),
			Record: &runs.Record{}}
		if err := task.Do(t.Context(), job); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v; want %q", err, want)
		}
	}
}

// TestClassesOfData: the data of some classes has their images alone, with labels in their order.
func TestClassesOfData(t *testing.T) {
	data := Data{Name: datasets.NameFashionMNISTSubset, Train: 30, Test: 6, Measure: 6, Classes: []int{7, 3}}
	loaded, err := data.load(Network{Kind: KindMLP}, 0)
	if err != nil {
		t.Fatal(err)
	}
	all, err := subset(data.Name, datasets.Train, 0)
	if err != nil {
		t.Fatal(err)
	}
	if loaded.outputs != 2 || loaded.measured["train"].n != 6 || loaded.measured["test"].n != 6 {
		t.Fatalf("%d outputs, measured %+v", loaded.outputs, loaded.measured)
	}
	measured := loaded.images.measured["train"]
	for i, label := range measured.Labels {
		at := -1
		for k := range all.N {
			if bytes.Equal(all.Image(k), measured.Image(i)) {
				at = k
			}
		}
		if at < 0 || all.Labels[at] != []uint8{7, 3}[label] {
			t.Errorf("image %d with label %d is image %d of the data set", i, label, at)
		}
	}
}

// TestCollapseLeavesTrainingAlone: what measures the embedding does not change the weights, however
// often it does. A ResNet's variables have the same names with and without the measurement.
func TestCollapseLeavesTrainingAlone(t *testing.T) {
	weights := func(change func(*Train)) string {
		task := collapseTask()
		task.Network = ResNet18(1, layers.NormBatch)
		task.Network.Pool, task.BatchSize, task.Steps, task.Collapse.Estimator = 7, 6, 3, "projection:2"
		change(task)
		env := runs.Env{Backend: gctest.GoBackend(t), Out: t.TempDir()}
		return execute(t, env, runs.Run{Label: "collapse", Seed: 2, Task: task}).Weights
	}
	once := weights(func(*Train) {})
	if often := weights(func(r *Train) { r.Measurements = 3 }); often != once {
		t.Errorf("weights %.8s with three measurements, %.8s with one", often, once)
	}
	if without := weights(func(r *Train) { r.Collapse = nil }); without != once {
		t.Errorf("weights %.8s without the measurement, %.8s with it", without, once)
	}
}
