package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Extracting again gives the embedded files, if the toolchain is the one they come from.
func TestExtractReproducesTheTexts(t *testing.T) {
	_, version, err := goRoot()
	if err != nil {
		t.Fatal(err)
	}
	if version != toolchain {
		t.Skipf("the texts were not extracted again, because they are of %s, and this is %s", toolchain, version)
	}
	dir := t.TempDir()
	if err := extract(dir, t.Output()); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"train.txt.gz", "test.txt.gz"} {
		if got, want := content(t, filepath.Join(dir, file)), content(t, filepath.Join("..", file)); !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes of other content than the embedded %d", file, len(got), len(want))
		}
	}
}

func content(t *testing.T, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	plain, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(plain)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestWordsWithoutImportPaths(t *testing.T) {
	src := t.TempDir()
	all := slices.Concat(slices.Collect(maps.Values(areas))...)
	for _, folder := range append(all, "crypto/aes/testdata", "go/ast") {
		if err := os.MkdirAll(filepath.Join(src, folder), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	source := "// Package aes is not read.\npackage aes\n\n" +
		"// NewCipher of crypto/aes returns a Cipher, and the key's length counts: 16 bytes.\nfunc NewCipher() {}\n\n" +
		"// Short one.\nvar x int\n"
	for _, file := range []string{"crypto/aes/cipher.go", "crypto/aes/cipher_test.go", "crypto/aes/testdata/data.go",
		"go/ast/empty.go"} {
		text := source
		if strings.HasPrefix(file, "go/") {
			text = "package ast\n"
		}
		if err := os.WriteFile(filepath.Join(src, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	texts, err := comments(src)
	if err != nil || len(texts) != 1 {
		t.Fatalf("%d texts (%v), want 1: %v", len(texts), err, texts)
	}
	want := strings.Fields("newcipher of returns a cipher and the key s length counts bytes")
	if got := texts[0]; got.class != "crypto" || got.file != "crypto/aes/cipher.go" || !slices.Equal(got.words, want) {
		t.Errorf("text %+v, want the words %q", got, want)
	}
}

func TestDuplicates(t *testing.T) {
	of := func(file, s string) text { return text{class: "crypto", file: file, words: strings.Fields(s)} }
	a, b := of("a", "sin returns the sine of x"), of("b", "cos returns the sine of x")
	if kept := withoutDuplicates([]text{a, b, of("c", "sin returns its argument x")}); len(kept) != 2 {
		t.Errorf("kept %v, want the first and the last", kept)
	}
	// Of seven distinct words, five are common to the first and a, which is more than 0.6 of them.
	near, far := of("d", "tan returns the sine of x"), of("e", "something else entirely and nothing alike")
	if kept := withoutSimilar([]text{near, far}, []text{a}); len(kept) != 1 || kept[0].file != "e" {
		t.Errorf("kept %v, want the text of e", kept)
	}
}
