package training

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

func TestMissingDataOffersTheEmbeddedImages(t *testing.T) {
	t.Setenv(datasets.EnvData, t.TempDir())
	_, err := Data{Name: datasets.NameCIFAR10}.load(Network{}, 0)
	if err == nil || !strings.HasSuffix(err.Error(), "--set dataset=fashion-mnist-subset") ||
		strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v; want one line that ends in the way out", err)
	}
}

// mnistFolder makes a data folder with an MNIST of n training and n test images, whose pixels all
// have one value.
func mnistFolder(t *testing.T, n int, pixel byte) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "mnist")
	t.Setenv(datasets.EnvData, filepath.Dir(dir))
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	labels := make([]byte, n)
	for i := range labels {
		labels[i] = byte(i % 10)
	}
	for _, prefix := range []string{"train", "t10k"} {
		for name, array := range map[string]datasets.IDX{
			"-images-idx3-ubyte": {Dims: []int{n, 28, 28}, Data: bytes.Repeat([]byte{pixel}, n*28*28)},
			"-labels-idx1-ubyte": {Dims: []int{n}, Data: labels},
		} {
			var b bytes.Buffer
			if err := datasets.WriteIDX(&b, array.Dims, array.Data); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, prefix+name), b.String())
		}
	}
}

// TestContentOfTheDataIsInTheAddress checks that other images under the same name make another run:
// neither a complete nor an interrupted run with the first images is used for it.
func TestContentOfTheDataIsInTheAddress(t *testing.T) {
	env := runs.Env{Backend: gctest.GoBackend(t), Out: t.TempDir()}
	task := resumableTask()
	task.Data.Name = datasets.NameMNIST
	run := runs.Run{Label: "data", Seed: 1, Task: task}
	mnistFolder(t, 100, 10)
	genuine := execute(t, env, run)
	interrupted := run
	interrupted.Seed = 2
	interruptedAt(t, env, interrupted, 6)
	mnistFolder(t, 100, 200)
	other := execute(t, env, run)
	if other.Hash == genuine.Hash || other.Weights == genuine.Weights || other.Data.SHA256 == genuine.Data.SHA256 {
		t.Errorf("other images have the record of the first ones: %+v", other)
	}
	if got := execute(t, env, interrupted); got.Provenance.Starts != 1 || got.Data.SHA256 != other.Data.SHA256 {
		t.Errorf("the interrupted run went on with other images: %+v", got)
	}
	const want = "not the published content (t10k-images-idx3-ubyte differs)"
	if genuine.Data.Name != datasets.NameMNIST || genuine.Data.Content != want {
		t.Errorf("the record says of its data %+v; want %q", genuine.Data, want)
	}
	// The network's own data set no longer exists, but another one may be named.
	trained, err := OpenRun(filepath.Join(env.Out, runs.RunsDir, genuine.Hash))
	if err != nil {
		t.Fatal(err)
	}
	_, err = trained.Dataset("", datasets.Test, 0, 10)
	if err == nil || !strings.Contains(err.Error(), "is not what the network was trained on") {
		t.Errorf("measuring on its own data: %v", err)
	}
	if _, err := trained.Dataset(datasets.NameMNIST, datasets.Test, 0, 10); err != nil {
		t.Errorf("measuring on a named set: %v", err)
	}
}

// TestAddressWithoutTheData checks that without the data the address is that of the published
// content, so that results can still be shown.
func TestAddressWithoutTheData(t *testing.T) {
	t.Setenv(datasets.EnvData, t.TempDir())
	task := resumableTask()
	task.Data.Name = datasets.NameCIFAR10
	content, err := task.Content()
	if err != nil {
		t.Fatal(err)
	}
	want, err := datasets.PublishedContent(datasets.NameCIFAR10)
	if err != nil || content.SHA256 != want.SHA256 {
		t.Errorf("data %+v (%v); want SHA-256 %s", content, err, want.SHA256)
	}
}

// TestDataChangedMeanwhile checks that a run does not train on images that were replaced after its
// address was computed.
func TestDataChangedMeanwhile(t *testing.T) {
	env, err := runs.Env{Backend: gctest.GoBackend(t), Out: t.TempDir()}.WithDefaults()
	if err != nil {
		t.Fatal(err)
	}
	task := resumableTask()
	task.Data.Name = datasets.NameMNIST
	mnistFolder(t, 100, 10)
	content, err := task.Content()
	if err != nil {
		t.Fatal(err)
	}
	mnistFolder(t, 100, 200)
	job := &runs.Job{Env: env, Dir: t.TempDir(), Record: &runs.Record{Data: content}}
	if err := task.Do(context.Background(), job); err == nil ||
		!strings.Contains(err.Error(), "mnist was changed after the run began") {
		t.Errorf("error %v", err)
	}
}
