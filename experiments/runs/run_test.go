package runs

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// panicking is a task that panics, as a faulty graph builder does.
type panicking struct{ value any }

func (panicking) Kind() string                     { return "panicking" }
func (panicking) Revision() int                    { return 1 }
func (panicking) Units() int64                     { return 1 }
func (p panicking) Do(context.Context, *Job) error { panic(p.value) }
func (p panicking) MarshalJSON() ([]byte, error)   { return []byte(`{}`), nil }

func TestPanicsBecomeErrors(t *testing.T) {
	env := Env{Backend: gctest.GoBackend(t), Out: t.TempDir()}
	for _, value := range []any{errors.New("shapes differ"), "shapes differ"} {
		err := attempt(context.Background(), env, Run{Label: "a label", Seed: 7, Task: panicking{value}})
		if err == nil || !strings.HasSuffix(err.Error(), "(a label, seed 7): shapes differ") {
			t.Errorf("panic of a %T: %v", value, err)
		}
	}
}

func TestNumberJSON(t *testing.T) {
	data, err := json.Marshal([]Number{1.5, Number(math.NaN()), Number(math.Inf(-1)), 1e-300})
	if err != nil || string(data) != "[1.5,null,null,1e-300]" {
		t.Fatalf("marshalled %s, %v", data, err)
	}
	var back []Number
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if back[0] != 1.5 || !math.IsNaN(float64(back[1])) || back[3] != 1e-300 {
		t.Errorf("read back as %v", back)
	}
	if got, _ := json.Marshal(ShortNumber(0.1)); string(got) != "0.1" {
		t.Errorf("float32 0.1 is written %s; want 0.1", got)
	}
	if got := ShortNumber(float32(math.Inf(1))); !math.IsInf(float64(got), 1) {
		t.Errorf("infinity became %v", got)
	}
	if err := json.Unmarshal([]byte(`["x"]`), &back); err == nil {
		t.Error("a string was read as a number: want an error")
	}
}

// TestDamagedRunFile: after a power failure older programs left an empty file.
func TestDamagedRunFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, RunFile)
	for _, content := range []string{"", `{"hash": "ab`} {
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := ReadFolder(dir)
		if err == nil || !strings.HasPrefix(err.Error(), file+" is damaged (unexpected end of JSON input): ") ||
			!strings.HasSuffix(err.Error(), "remove "+dir+" first to repeat it") {
			t.Errorf("%q: error %v", content, err)
		}
	}
	_, err := ReadFolder(filepath.Join(dir, "nosuch"))
	if err == nil || !strings.HasPrefix(err.Error(), "there is no folder ") {
		t.Errorf("no folder: error %v", err)
	}
}
