// Command draw draws the embedded subset of Fashion-MNIST from the full set. It reads the full set
// from the location that datasets.Locate finds (on Debian: apt-get install dataset-fashion-mnist),
// and writes four gzipped IDX files into the folder given as its argument, by default the current
// one:
//
//	go run ./datasets/fashion_mnist_subset/draw datasets/fashion_mnist_subset
package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/internal/atomicfile"
)

// The seed of the draw, and the numbers of images per class from each split.
const (
	seed          = 2209_13083 // The paper's number on arXiv.
	trainPerClass = 500
	testPerClass  = 100
)

func main() {
	dir := "."
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	if err := draw(dir, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "draw:", err)
		os.Exit(1)
	}
}

func draw(dir string, report io.Writer) error {
	if err := datasets.Verify(datasets.NameFashionMNIST); err != nil {
		return err
	}
	for _, part := range []struct {
		split    datasets.Split
		prefix   string
		perClass int
	}{{datasets.Train, "train", trainPerClass}, {datasets.Test, "t10k", testPerClass}} {
		full, err := datasets.Load(datasets.NameFashionMNIST, part.split)
		if err != nil {
			return err
		}
		subset, err := full.Balanced(part.perClass, seed)
		if err != nil {
			return err
		}
		images := filepath.Join(dir, part.prefix+"-images-idx3-ubyte")
		if err := write(images, []int{subset.N, subset.H, subset.W}, subset.Pixels, report); err != nil {
			return err
		}
		labels := filepath.Join(dir, part.prefix+"-labels-idx1-ubyte")
		if err := write(labels, []int{subset.N}, subset.Labels, report); err != nil {
			return err
		}
	}
	return nil
}

// write stores one array as path.gz and reports the checksums of its content and of the file. The
// gzip header contains neither name nor time, so that the file depends only on its content.
func write(path string, dims []int, data []uint8, report io.Writer) error {
	var plain bytes.Buffer
	if err := datasets.WriteIDX(&plain, dims, data); err != nil {
		return err
	}
	packed, err := atomicfile.WriteGzip(path+".gz", plain.Bytes())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(report, "%s.gz: %d bytes, SHA-256 %x, content %x\n",
		filepath.Base(path), len(packed), sha256.Sum256(packed), sha256.Sum256(plain.Bytes()))
	return err
}
