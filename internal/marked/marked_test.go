package marked

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestUpdate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "README.md")
	write(t, path, "before\n<!-- other:begin -->\nkept\n<!-- other:end -->\n<!-- table:begin -->\nold\n<!-- table:end -->\nafter\n")
	for i, wantChange := range []bool{true, false} {
		changed, err := Update(path, "table", "new $1\nlines\n")
		if err != nil || changed != wantChange {
			t.Fatalf("update %d: changed %v, error %v; want %v and none", i, changed, err, wantChange)
		}
	}
	got, err := os.ReadFile(path)
	want := "before\n<!-- other:begin -->\nkept\n<!-- other:end -->\n<!-- table:begin -->\nnew $1\nlines\n<!-- table:end -->\nafter\n"
	if err != nil || string(got) != want {
		t.Errorf("file\n%s\nwant\n%s(%v)", got, want, err)
	}
	if section, err := Section(path, "table"); err != nil || section != "new $1\nlines" {
		t.Errorf("section %q, %v", section, err)
	}
}

func TestMarkersThatAreWrong(t *testing.T) {
	for name, text := range map[string]string{
		"none":     "text\n",
		"no end":   "<!-- table:begin -->\n",
		"no begin": "<!-- table:end -->\n",
		"reversed": "<!-- table:end -->\n<!-- table:begin -->\n",
		"twice":    "<!-- table:begin -->\n<!-- table:end -->\n<!-- table:begin -->\n<!-- table:end -->\n",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "README.md")
			write(t, path, text)
			if _, err := Update(path, "table", "new"); err == nil ||
				!strings.Contains(err.Error(), path+" must have one line <!-- table:begin -->") {
				t.Errorf("update: %v", err)
			}
			if _, err := Section(path, "table"); err == nil {
				t.Error("section: no error")
			}
			if got, _ := os.ReadFile(path); string(got) != text {
				t.Errorf("the file was changed to %q", got)
			}
		})
	}
}

func TestMissingFile(t *testing.T) {
	if _, err := Update(filepath.Join(t.TempDir(), "none"), "table", "new"); err == nil {
		t.Error("no error")
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
