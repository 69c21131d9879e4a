package datasets_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/geometric-complexity/toolkit/datasets"
)

// temporaryFolder returns a new folder and a function that removes it.
func temporaryFolder() (dir string, remove func()) {
	dir, err := os.MkdirTemp("", "datasets-example")
	if err != nil {
		log.Fatal(err)
	}
	return dir, func() { os.RemoveAll(dir) }
}

func ExampleNames() {
	for _, name := range datasets.Names() {
		fmt.Println(name)
	}
	// Output:
	// fashion-mnist-subset
	// fashion-mnist
	// mnist
	// cifar10
}

// For a set that is not on the machine, the error explains how to get it.
func ExampleNotFoundError() {
	dir, remove := temporaryFolder()
	defer remove()
	old, had := os.LookupEnv(datasets.EnvData)
	os.Setenv(datasets.EnvData, dir)
	defer func() {
		if had {
			os.Setenv(datasets.EnvData, old)
		} else {
			os.Unsetenv(datasets.EnvData)
		}
	}()
	_, err := datasets.Load("mnist", datasets.Train)
	var missing *datasets.NotFoundError
	fmt.Println(errors.As(err, &missing), missing.Source.Name, missing.Source.Found)
	// Output: true mnist false
}

// Only this function downloads. The embedded set has nothing to download.
func ExampleDownload() {
	err := datasets.Download(context.Background(), "fashion-mnist-subset", "", nil)
	fmt.Println(err)
	// Output: data set fashion-mnist-subset is embedded: there is nothing to download
}

func ExampleVerify() {
	fmt.Println(datasets.Verify("fashion-mnist-subset"))
	// Output: <nil>
}

func ExampleReadIDX() {
	var file bytes.Buffer
	if err := datasets.WriteIDX(&file, []int{2, 3}, []uint8{1, 2, 3, 4, 5, 6}); err != nil {
		log.Fatal(err)
	}
	array, err := datasets.ReadIDX(&file, "numbers")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(array.Dims, array.Data)
	_, err = datasets.ReadIDX(bytes.NewReader([]byte{0, 0, 8, 1, 0, 0, 0, 9, 1, 2}), "short")
	fmt.Println(err)
	// Output:
	// [2 3] [1 2 3 4 5 6]
	// short: truncated: the header announces 9 bytes of data for dimensions [9], found 2
}

// Your own images in MNIST's format.
func ExampleReadIDXImages() {
	dir, remove := temporaryFolder()
	defer remove()
	for name, array := range map[string]datasets.IDX{
		"images": {Dims: []int{2, 1, 2}, Data: []uint8{0, 255, 255, 0}},
		"labels": {Dims: []int{2}, Data: []uint8{0, 1}},
	} {
		var file bytes.Buffer
		if err := datasets.WriteIDX(&file, array.Dims, array.Data); err != nil {
			log.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), file.Bytes(), 0o644); err != nil {
			log.Fatal(err)
		}
	}
	images, err := datasets.ReadIDXImages(filepath.Join(dir, "images"), filepath.Join(dir, "labels"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(images.N, "images of", images.H, "×", images.W, "with labels", images.Labels)
	// Output: 2 images of 1 × 2 with labels [0 1]
}

// A test split of one image, class 3, in CIFAR-10's binary format: the file's planes become the
// last axis.
func ExampleReadCIFAR10() {
	dir, remove := temporaryFolder()
	defer remove()
	record := []byte{3}
	for plane := range 3 {
		record = append(record, bytes.Repeat([]byte{byte(10 * plane)}, 32*32)...)
	}
	if err := os.WriteFile(filepath.Join(dir, "test_batch.bin"), record, 0o644); err != nil {
		log.Fatal(err)
	}
	images, err := datasets.ReadCIFAR10(dir, datasets.Test)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(images.N, images.H, images.W, images.C, images.Classes[images.Labels[0]], images.Image(0)[:3])
	// Output: 1 32 32 3 cat [0 10 20]
}
