package datasets

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/floats"
)

// tinyTexts are three texts of two classes.
func tinyTexts() *Texts {
	return &Texts{Name: "tiny/train", Classes: []string{"animals", "plants"}, Labels: []uint8{0, 1, 0},
		Words: [][]string{{"the", "cat", "and", "the", "dog"}, {"the", "oak"}, {"a", "cat"}}}
}

func TestGoDocs(t *testing.T) {
	splits := make(map[Split]*Texts)
	for split, perClass := range map[Split]int{Train: 480, Test: 120} {
		texts, err := GoDocs(split)
		if err != nil {
			t.Fatal(err)
		}
		splits[split] = texts
		if err := texts.check(); err != nil {
			t.Error(err)
		}
		for label, n := range texts.Counts() {
			if n != perClass {
				t.Errorf("%s: %d texts of class %s, want %d", texts.Name, n, texts.Classes[label], perClass)
			}
		}
		for i, words := range texts.Words {
			if len(words) < 6 || len(words) > 48 {
				t.Errorf("text %d has %d words, want 6 to 48", i, len(words))
			}
			for _, w := range words {
				if w != strings.ToLower(w) || slices.Contains([]string{"crypto", "net", "http", "go", "runtime"}, w) {
					t.Errorf("text %d has the word %q, which an import path contains", i, w)
				}
			}
		}
	}
	if a, b := splits[Train].SHA256, splits[Test].SHA256; a != b || len(a) != 64 {
		t.Errorf("the splits have the contents %s and %s, want one SHA-256", a, b)
	}
	if _, err := GoDocs(7); err == nil {
		t.Error("split 7: no error")
	}
}

// TestNaiveBayesOnGoDocs checks that the words tell the class, as far as the README says: by a
// multinomial naive Bayes classifier with one added to each count.
func TestNaiveBayesOnGoDocs(t *testing.T) {
	train, err := GoDocs(Train)
	if err != nil {
		t.Fatal(err)
	}
	test, err := GoDocs(Test)
	if err != nil {
		t.Fatal(err)
	}
	counts := make(map[string][8]float64) // By word and class.
	var totals [8]float64
	for i, words := range train.Words {
		for _, w := range words {
			of := counts[w]
			of[train.Labels[i]]++
			counts[w] = of
			totals[train.Labels[i]]++
		}
	}
	right := 0
	for i, words := range test.Words {
		scores := make([]float64, len(totals)) // The classes are equally frequent.
		for _, w := range words {
			if of, known := counts[w]; known {
				for class := range scores {
					scores[class] += math.Log((of[class] + 1) / (totals[class] + float64(len(counts))))
				}
			}
		}
		if floats.MaxIdx(scores) == int(test.Labels[i]) {
			right++
		}
	}
	if share := float64(right) / float64(len(test.Words)); math.Abs(share-0.59) > 0.005 {
		t.Errorf("right on %.4f of the test texts, want 0.59", share)
	}
}

func TestParseTextsErrors(t *testing.T) {
	for _, content := range []string{"animals the cat\n", "animals\tcat\nstones\tgranite\n"} {
		if texts, err := parseTexts(strings.NewReader(content), "file", []string{"animals"}); err == nil {
			t.Errorf("%q gives %+v, want an error", content, texts)
		}
	}
}

func TestTextsDrawAsImagesDo(t *testing.T) {
	texts, err := GoDocs(Train)
	if err != nil {
		t.Fatal(err)
	}
	images := &Images{Name: texts.Name, N: len(texts.Labels), H: 1, W: 1, C: 1, Classes: texts.Classes,
		Labels: texts.Labels, Pixels: make([]uint8, len(texts.Labels))}
	drawn, others, err := texts.SplitBalanced(5, 3)
	if err != nil {
		t.Fatal(err)
	}
	if len(drawn.Words) != 40 || len(others.Words) != len(texts.Words)-40 || len(others.Labels) != len(others.Words) {
		t.Errorf("%d texts drawn and %d left of %d", len(drawn.Words), len(others.Words), len(texts.Words))
	}
	if slices.ContainsFunc(drawn.Counts(), func(n int) bool { return n != 5 }) {
		t.Errorf("%v texts of each class, want 5", drawn.Counts())
	}
	drawnImages, othersImages, err := images.SplitBalanced(5, 3)
	if err != nil || !slices.Equal(drawn.Labels, drawnImages.Labels) || !slices.Equal(others.Labels, othersImages.Labels) {
		t.Errorf("texts and images with the same labels are drawn differently (%v)", err)
	}
	same, err := texts.Balanced(5, 3)
	if err != nil || !slices.EqualFunc(same.Words, drawn.Words, slices.Equal) {
		t.Errorf("Balanced draws other texts than SplitBalanced (%v)", err)
	}
	noisy, err := texts.WithLabelNoise(0.3, OtherClass, 5)
	if err != nil {
		t.Fatal(err)
	}
	noisyImages, err := images.WithLabelNoise(0.3, OtherClass, 5)
	if err != nil || !slices.Equal(noisy.Labels, noisyImages.Labels) {
		t.Errorf("texts and images with the same labels get other label noise (%v)", err)
	}
	few, err := texts.First(3)
	if err != nil || len(few.Labels) != 3 || !slices.EqualFunc(few.Words, texts.Words[:3], slices.Equal) {
		t.Errorf("the first 3 texts are %+v (%v)", few, err)
	}
	for name, err := range map[string]error{
		"first 0":    first(texts.First(0)),
		"first 3841": first(texts.First(3841)),
		"none left":  second(texts.SplitBalanced(480, 1)),
		"too many":   first(texts.Balanced(481, 1)),
		"noise of 2": first(texts.WithLabelNoise(2, OtherClass, 1)),
		"no texts":   first((&Texts{}).Balanced(1, 1)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func first[T any](_ T, err error) error     { return err }
func second[T any](_, _ T, err error) error { return err }

func TestVocabulary(t *testing.T) {
	v, err := NewVocabulary(tinyTexts(), 5)
	if err != nil {
		t.Fatal(err)
	}
	// "the" is the most frequent word, then "cat"; "a" is the first of those that are there once.
	if got, want := v.Encode([]string{"the", "oak", "a", "cat", "the"}, 4), []int32{2, 1, 4, 3}; !slices.Equal(got, want) {
		t.Errorf("tokens %v, want %v", got, want)
	}
	if got, want := v.Encode([]string{"cat"}, 3), []int32{3, 0, 0}; !slices.Equal(got, want) {
		t.Errorf("tokens %v, want %v", got, want)
	}
	if got, want := v.Decode([]int32{2, 1, 0}), []string{"the", "<unknown>", "<padding>"}; !slices.Equal(got, want) {
		t.Errorf("words %v, want %v", got, want)
	}
	if all, err := NewVocabulary(tinyTexts(), 100); err != nil || all.Size() != 8 {
		t.Errorf("%d tokens (%v), want 8: there are six words", all.Size(), err)
	}
	if _, err := NewVocabulary(tinyTexts(), 2); err == nil {
		t.Error("a vocabulary of 2 tokens: no error")
	}
}

func TestTextBatches(t *testing.T) {
	texts := tinyTexts()
	v, err := NewVocabulary(texts, 4)
	if err != nil {
		t.Fatal(err)
	}
	z := Tokenizer{Vocabulary: v, Length: 3}
	ds, err := NewTextBatches(texts, 2, z).Done()
	if err != nil {
		t.Fatal(err)
	}
	var tokens, labels []int32
	for batch, err := range ds.Iter() {
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, tensors.MustCopyFlatData[int32](batch.Inputs[0])...)
		labels = append(labels, tensors.MustCopyFlatData[int32](batch.Labels[0])...)
	}
	all, allLabels, err := texts.Tensors(z)
	if err != nil {
		t.Fatal(err)
	}
	want := []int32{2, 3, 1, 2, 1, 0, 1, 3, 0}
	if !slices.Equal(tokens, want) || !slices.Equal(tensors.MustCopyFlatData[int32](all), want) {
		t.Errorf("tokens %v in batches, %v at once, want %v", tokens, all, want)
	}
	wantLabels := []int32{0, 1, 0}
	if !slices.Equal(labels, wantLabels) || !slices.Equal(tensors.MustCopyFlatData[int32](allLabels), wantLabels) {
		t.Errorf("labels %v in batches, %v at once, want %v", labels, allLabels, wantLabels)
	}
	for name, c := range map[string]*BatchesConfig{
		"no texts":          NewTextBatches(nil, 2, z),
		"no vocabulary":     NewTextBatches(texts, 2, Tokenizer{Length: 3}),
		"length 0":          NewTextBatches(texts, 2, Tokenizer{Vocabulary: v}),
		"format of images":  NewTextBatches(texts, 2, z).Format(Format{Flat: true}),
		"labels are absent": NewTextBatches(&Texts{Words: texts.Words, Classes: texts.Classes}, 2, z),
	} {
		if _, err := c.Done(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
