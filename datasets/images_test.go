package datasets

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"
)

// testImages returns n images of 2×3 pixels and 2 channels of ascending bytes, with labels 0, 1, 2,
// 0, 1, 2, ...
func testImages(n int) *Images {
	images := &Images{
		Pixels: ramp(n * 12), Labels: make([]uint8, n), N: n, H: 2, W: 3, C: 2,
		Classes: []string{"a", "b", "c"}, Name: "tiny/train",
	}
	for i := range images.Labels {
		images.Labels[i] = uint8(i % 3)
	}
	return images
}

func TestSplit(t *testing.T) {
	for _, split := range []Split{Train, Test} {
		if got, err := ParseSplit(split.String()); err != nil || got != split {
			t.Errorf("ParseSplit(%q) = %v, %v", split, got, err)
		}
	}
	_, err := ParseSplit("valid")
	wantError(t, err, `"valid"`, `"train"`)
	if got := Split(7).String(); got != "Split(7)" {
		t.Errorf("got %q", got)
	}
}

func TestImagesCheck(t *testing.T) {
	if err := testImages(4).check(); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		spoil func(*Images)
		want  string
	}{
		{"empty", func(im *Images) { im.N = 0 }, "empty"},
		{"no height", func(im *Images) { im.H = 0 }, "image shape"},
		{"a pixel less", func(im *Images) { im.Pixels = im.Pixels[1:] }, "47 pixel values, want 48"},
		{"a label less", func(im *Images) { im.Labels = im.Labels[1:] }, "3 labels for 4 images"},
		{"label without class", func(im *Images) { im.Labels[2] = 3 }, "label 3 of image 2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			images := testImages(4)
			test.spoil(images)
			wantError(t, images.check(), test.want)
		})
	}
	t.Run("nil", func(t *testing.T) {
		var none *Images
		wantError(t, none.check(), "empty")
	})
}

func TestFirst(t *testing.T) {
	images := testImages(5)
	got, err := images.First(2)
	if err != nil {
		t.Fatal(err)
	}
	if got.N != 2 || !bytes.Equal(got.Pixels, images.Pixels[:24]) || !bytes.Equal(got.Labels, []byte{0, 1}) {
		t.Errorf("got %+v", got)
	}
	for _, n := range []int{-1, 0, 6} {
		_, err := images.First(n)
		wantError(t, err, "tiny/train", "of 5 images")
	}
}

func TestOfClasses(t *testing.T) {
	images := testImages(7) // labels 0, 1, 2, 0, 1, 2, 0
	got, err := images.OfClasses(2, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := images.Select([]int{0, 2, 3, 5, 6})
	if got.N != 5 || !bytes.Equal(got.Pixels, want.Pixels) || !bytes.Equal(got.Labels, []byte{1, 0, 1, 0, 1}) ||
		!slices.Equal(got.Classes, []string{"c", "a"}) || got.Name != images.Name {
		t.Errorf("got %+v", got)
	}
	if !bytes.Equal(images.Labels, []byte{0, 1, 2, 0, 1, 2, 0}) || len(images.Classes) != 3 {
		t.Errorf("the images have changed: %+v", images)
	}
	for want, classes := range map[string][]int{"no class 3": {0, 3}, "no class -1": {-1, 0},
		"class 1 is named twice": {1, 1}, "want two or more": {1}} {
		_, err := images.OfClasses(classes...)
		wantError(t, err, want)
	}
	none, err := images.First(1)
	if err != nil {
		t.Fatal(err)
	}
	_, err = none.OfClasses(1, 2)
	wantError(t, err, "no images of the classes [1 2]")
}

func TestBalanced(t *testing.T) {
	images := testImages(20) // 7, 7 and 6 images of the classes.
	draw := func(perClass int, seed uint64) *Images {
		t.Helper()
		got, err := images.Balanced(perClass, seed)
		if err != nil {
			t.Fatal(err)
		}
		if err := got.check(); err != nil {
			t.Fatal(err)
		}
		return got
	}
	got := draw(4, 1)
	if !slices.Equal(got.Counts(), []int{4, 4, 4}) {
		t.Errorf("counts %v", got.Counts())
	}
	if !bytes.Equal(got.Pixels, draw(4, 1).Pixels) {
		t.Error("the same seed drew different images")
	}
	if bytes.Equal(got.Pixels, draw(4, 2).Pixels) {
		t.Error("different seeds drew the same images")
	}
	last := -1
	for i := range got.N {
		j := -1 // The index of the source image; no two have the same pixels.
		for k := range images.N {
			if bytes.Equal(images.Image(k), got.Image(i)) {
				j = k
			}
		}
		if j <= last || images.Labels[j] != got.Labels[i] {
			t.Errorf("image %d is source image %d after %d, label %d", i, j, last, got.Labels[i])
		}
		last = j
	}
	_, err := images.Balanced(7, 1)
	wantError(t, err, `"c"`, "there are 6")
	_, err = images.Balanced(0, 1)
	wantError(t, err, "0 examples per class")
}

func TestWithLabelNoise(t *testing.T) {
	const n = 3000
	images := testImages(n)
	changed := func(noisy *Images) (count int) {
		for i, label := range noisy.Labels {
			if label != images.Labels[i] {
				count++
			}
		}
		return count
	}
	t.Run("other class changes exactly the fraction", func(t *testing.T) {
		for _, fraction := range []float64{0, 0.2, 1. / 3, 1} {
			noisy, err := images.WithLabelNoise(fraction, OtherClass, 5)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := changed(noisy), int(math.Round(fraction*n)); got != want {
				t.Errorf("fraction %g: %d labels changed, want %d", fraction, got, want)
			}
			if err := noisy.check(); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("any class keeps a third by chance", func(t *testing.T) {
		noisy, err := images.RandomLabels(5)
		if err != nil {
			t.Fatal(err)
		}
		// Binomial(3000, 2/3): mean 2000, standard deviation 25.8.
		if got := changed(noisy); math.Abs(float64(got)-2000) > 5*25.8 {
			t.Errorf("%d labels changed, want about 2000", got)
		}
		for class, count := range noisy.Counts() {
			if math.Abs(float64(count)-1000) > 5*25.8 {
				t.Errorf("class %d has %d labels, want about 1000", class, count)
			}
		}
	})
	t.Run("other class is uniform over the others", func(t *testing.T) {
		noisy, err := images.WithLabelNoise(1, OtherClass, 9)
		if err != nil {
			t.Fatal(err)
		}
		var became [3][3]int
		for i, label := range noisy.Labels {
			became[images.Labels[i]][label]++
		}
		for from, row := range became {
			for to, count := range row {
				// Binomial(1000, 1/2): standard deviation 15.8.
				if from != to && math.Abs(float64(count)-500) > 5*15.8 {
					t.Errorf("%d labels went from %d to %d, want about 500", count, from, to)
				}
			}
		}
	})
	t.Run("seeded, without changing the source", func(t *testing.T) {
		before := slices.Clone(images.Labels)
		a, _ := images.WithLabelNoise(0.5, OtherClass, 1)
		b, _ := images.WithLabelNoise(0.5, OtherClass, 1)
		c, _ := images.WithLabelNoise(0.5, OtherClass, 2)
		if !bytes.Equal(a.Labels, b.Labels) || bytes.Equal(a.Labels, c.Labels) {
			t.Error("labels are not a function of the seed")
		}
		if !bytes.Equal(images.Labels, before) {
			t.Error("the source's labels changed")
		}
	})
	t.Run("errors", func(t *testing.T) {
		for _, fraction := range []float64{-0.1, 1.1, math.NaN()} {
			_, err := images.WithLabelNoise(fraction, OtherClass, 1)
			wantError(t, err, "want a fraction from 0 to 1")
		}
		_, err := images.WithLabelNoise(0.1, NoiseKind(9), 1)
		wantError(t, err, "unknown kind of label noise 9")
		single := testImages(3)
		single.Classes, single.Labels = []string{"a"}, make([]uint8, 3)
		_, err = single.WithLabelNoise(0.1, OtherClass, 1)
		wantError(t, err, "at least 2 classes")
	})
}

func TestSplitBalanced(t *testing.T) {
	images := testImages(20) // 7, 7 and 6 images of the classes.
	drawn, others, err := images.SplitBalanced(2, 1)
	if err != nil {
		t.Fatal(err)
	}
	want, err := images.Balanced(2, 1)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(drawn.Pixels, want.Pixels) || !bytes.Equal(drawn.Labels, want.Labels) {
		t.Error("the drawn images are not those of Balanced")
	}
	if !slices.Equal(others.Counts(), []int{5, 5, 4}) {
		t.Errorf("counts of the others: %v", others.Counts())
	}
	// Merged in the order of the source, the two parts are the source: no two images are equal.
	i, j := 0, 0
	for k := range images.N {
		switch {
		case i < drawn.N && bytes.Equal(drawn.Image(i), images.Image(k)) && drawn.Labels[i] == images.Labels[k]:
			i++
		case j < others.N && bytes.Equal(others.Image(j), images.Image(k)) && others.Labels[j] == images.Labels[k]:
			j++
		default:
			t.Fatalf("image %d is in neither part, or out of order", k)
		}
	}
	if i != drawn.N || j != others.N {
		t.Errorf("%d of %d and %d of %d images found", i, drawn.N, j, others.N)
	}
	if _, _, err := testImages(9).SplitBalanced(3, 1); err == nil || !strings.Contains(err.Error(), "leaves none") {
		t.Errorf("a split that leaves nothing: %v", err)
	}
}
