package main

import (
	"os"
	"testing"
)

// TestCheck checks that an error in a file of one platform is found under its settings alone, and
// one in a test too.
func TestCheck(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"go.mod":      "module example.org/m\n\ngo 1.24\n",
		"a.go":        "package m\n",
		"a_darwin.go": "package m\n\nvar wrong int = \"text\"\n",
		"a_test.go":   "//go:build broken\n\npackage m\n\nvar alsoWrong int = \"text\"\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		setting string
		fails   bool
	}{{"GOOS=linux", false}, {"GOOS=darwin", true}, {"GOFLAGS=-tags=broken", true}} {
		if err := check([]string{"GOOS=linux", "GOWORK=off", c.setting}); (err != nil) != c.fails {
			t.Errorf("%s: error %v", c.setting, err)
		}
	}
	t.Chdir(t.TempDir())
	if check([]string{"GOWORK=off"}) == nil {
		t.Error("a folder without packages passes")
	}
}
