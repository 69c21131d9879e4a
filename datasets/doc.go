// Package datasets reads the data sets of the experiments and feeds them to GoMLX.
//
//   - [Load] returns the images of a named data set: "fashion-mnist-subset" (embedded),
//     "fashion-mnist", "mnist" and "cifar10" (from a data folder). [Locate] reports where a set is
//     or how to get it. Only [Download] downloads.
//   - [ReadIDX] and [ReadCIFAR10] read the standard file formats.
//   - [Images] holds a split in memory as uint8 pixels; [Images.Balanced], [Images.OfClasses],
//     [Images.First], [Images.WithLabelNoise] and [Images.RandomLabels] derive other sets from it.
//   - [GoDocs] returns the embedded texts, doc comments of Go's standard library. [NewVocabulary]
//     and a [Tokenizer] turn [Texts] into tokens.
//   - [NewBatches] turns images, and [NewTextBatches] texts, into a GoMLX train.Dataset whose order
//     is a pure function of (seed, step), so that an interrupted run resumes with exactly the
//     batches that an uninterrupted run would get.
//   - [Parabola] is the 1-D regression set of the paper's Figure 1.
//
// Pixels are scaled to [0, 1] (divided by 255) unless a [Normalization] is given.
//
// # Licences
//
// Fashion-MNIST: MIT, copyright 2017 Zalando SE; the embedded subset comes with the licence text.
// Go's doc comments: BSD with three clauses, copyright 2009 The Go Authors; the embedded texts come
// with the licence text. MNIST (LeCun, Cortes, Burges) and CIFAR-10 (Krizhevsky, Nair, Hinton) are
// not part of this repository; the terms of their authors apply.
package datasets
