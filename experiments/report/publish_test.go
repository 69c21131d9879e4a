package report

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/geometric-complexity/toolkit/experiments/experiment"
)

func TestPublish(t *testing.T) {
	root := t.TempDir()
	out, results := filepath.Join(root, "out"), filepath.Join(root, "results")
	write(t, out, sample())
	put(t, filepath.Join(out, "runs", "aa", "checkpoint", "weights.bin"), "large")
	put(t, filepath.Join(results, "05-gc-regularizer", DiscussionFile), "## keeps: does not hold\nIt did not.\n")
	put(t, filepath.Join(results, "05-gc-regularizer", "figures", "gone.svg"), "old")
	published, err := Publish([]string{out}, results, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := filepath.Join(results, "05-gc-regularizer")
	if !slices.Equal(published, []string{want}) {
		t.Fatalf("published %q; want %q", published, want)
	}
	wantFiles := []string{"claims.txt", "discussion.md", "figures/sweep.png", "figures/sweep.svg", "figures/training.png",
		"figures/training.svg", "records.jsonl", "result.json"}
	if got := files(t, want); !slices.Equal(got, wantFiles) {
		t.Errorf("files %q; want %q", got, wantFiles)
	}
	for _, file := range wantFiles {
		copied, _ := os.ReadFile(filepath.Join(want, file))
		original, err := os.ReadFile(filepath.Join(out, file))
		if file != DiscussionFile && (err != nil || string(copied) != string(original)) {
			t.Errorf("%s is not the original (%v)", file, err)
		}
	}
	if f := load(t, results)[0]; f.Discussion["keeps"] != "It did not." {
		t.Errorf("the discussion is %q", f.Discussion)
	}
}

func TestPublishedName(t *testing.T) {
	for _, tc := range []struct {
		number, name string
		scale        experiment.Scale
		want         string
	}{
		{"01", "simplicity-bias", experiment.Laptop, "01-simplicity-bias"},
		{"01", "simplicity-bias", experiment.Paper, "01-simplicity-bias-paper"},
		{"", "demo", experiment.Laptop, "demo"},
	} {
		f := &Folder{Result: &experiment.Result{Number: tc.number, Name: tc.name, Scale: tc.scale}}
		if got, err := f.publishedName(); got != tc.want || err != nil {
			t.Errorf("%s, %v; want %s", got, err, tc.want)
		}
	}
}

func TestPublishRefuses(t *testing.T) {
	for _, tc := range []struct {
		name   string
		result func(*experiment.Result)
		files  func(t *testing.T, out string)
		allow  Options // with it the result is published
		want   string
	}{
		{name: "smoke", result: func(r *experiment.Result) { r.Scale = experiment.Smoke }, allow: Options{Smoke: true},
			want: "smoke scale decides nothing"},
		{name: "changed code", result: func(r *experiment.Result) { r.Provenance.Modified = true },
			allow: Options{Force: true}, want: "working tree with changes to commit 0123456789ab; "},
		{name: "code not known", result: func(r *experiment.Result) { r.Provenance.Commit = "" }, allow: Options{Force: true},
			want: "without a recorded commit"},
		{name: "a run of changed code", files: func(t *testing.T, out string) {
			path := filepath.Join(out, experiment.RecordsFile)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			put(t, path, strings.Replace(string(text), `"commit"`, `"modified":true,"commit"`, 1))
		}, allow: Options{Force: true}, want: "working tree with changes"},
		{name: "changed settings", result: func(r *experiment.Result) { r.Command += " --set steps=7" },
			allow: Options{Force: true}, want: "its settings are not those of the laptop scale: gcml run "},
		{name: "no command", result: func(r *experiment.Result) { r.Command = "" },
			want: "does not have the command that repeats it"},
		{name: "unfinished", files: remove(experiment.ResultFile), want: "the experiment has not finished"},
		{name: "no claims", files: remove(experiment.ClaimsFile),
			want: "claims.txt is missing or empty; run its command again: gcml run gc-regularizer"},
		{name: "no figure", files: remove("figures/training.png"), want: "training.png is missing or empty"},
		{name: "empty figure", files: func(t *testing.T,
			out string) {
			put(t, filepath.Join(out, "figures", "sweep.svg"), "")
		}, want: "sweep.svg is missing or empty"},
		{name: "no records", files: remove(experiment.RecordsFile), want: "records.jsonl is missing or empty"},
		{name: "a record less", files: func(t *testing.T, out string) {
			put(t, filepath.Join(out, experiment.RecordsFile), "{\"hash\":\"aa\"}\n")
		}, want: "has 1 records of 2 runs"},
		{name: "other records", files: func(t *testing.T, out string) {
			put(t, filepath.Join(out, experiment.RecordsFile), "{\"hash\":\"aa\"}\n{\"hash\":\"cc\"}\n")
		}, want: "line 2 is of run cc, not of bb"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			root := t.TempDir()
			good, out, results := filepath.Join(root, "good"), filepath.Join(root, "out"), filepath.Join(root, "results")
			fine, r := sample(), sample()
			fine.Number, fine.Name = "04", "noise"
			write(t, good, fine)
			if tc.result != nil {
				tc.result(r)
			}
			write(t, out, r)
			if tc.files != nil {
				tc.files(t, out)
			}
			_, err := Publish([]string{good, out}, results, Options{})
			if err == nil || !strings.Contains(err.Error(), out) || !strings.Contains(err.Error(), tc.want) ||
				strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v; want one line with the folder and %q", err, tc.want)
			}
			if _, err := os.Stat(results); err == nil {
				t.Error("something was published anyway")
			}
			if tc.allow == (Options{}) {
				tc.allow = Options{Smoke: true, Force: true}
				if _, err := Publish([]string{out}, results, tc.allow); err == nil {
					t.Error("published when forced")
				}
				return
			}
			if _, err := Publish([]string{out}, results, tc.allow); err != nil {
				t.Errorf("with %+v: %v", tc.allow, err)
			}
		})
	}
}

func TestPublishRefusesTwoOfOneName(t *testing.T) {
	root := t.TempDir()
	a, b := filepath.Join(root, "a"), filepath.Join(root, "b")
	write(t, a, sample())
	write(t, b, sample())
	if _, err := Publish([]string{a, b}, filepath.Join(root, "results"), Options{}); err == nil ||
		!strings.Contains(err.Error(), "would both become") {
		t.Errorf("error %v", err)
	}
}

// TestPublishStaysInTheFolder publishes a stranger's result that names folders and files outside of
// its own folder. None of them may be removed, read or written.
func TestPublishStaysInTheFolder(t *testing.T) {
	const unknown = "of no known"
	name := func(number, name string) func(*experiment.Result, string) {
		return func(r *experiment.Result, _ string) { r.Number, r.Name = number, name }
	}
	figure := func(path string) func(*experiment.Result, string) {
		return func(r *experiment.Result, _ string) { r.Figures = append(r.Figures, path) }
	}
	for _, tc := range []struct {
		name   string
		change func(r *experiment.Result, out string)
		want   string
	}{
		{"name", name("05", "x/../../../precious"), unknown},
		{"name without a number", name("", "../precious"), unknown},
		{"number", name("../precious/x", "gc-regularizer"), unknown},
		{"number of another", name("04", "gc-regularizer"), unknown},
		{"scale", func(r *experiment.Result, _ string) { r.Scale = "x/../../precious" }, unknown},
		{"figure above", figure("../precious/secret.svg"), "is not in the folder figures"},
		{"figure above figures", figure("figures/../../precious/secret.svg"), "is not in the folder figures"},
		{"figure elsewhere", figure("discussion.md"), "is not in the folder figures"},
		{"absolute figure", figure("/etc/hostname"), "is not in the folder figures"},
		{"figure with backslashes", figure(`figures/..\..\secret.svg`), "is not in the folder figures"},
		{"linked figure", func(_ *experiment.Result, out string) {
			link(t, "../../precious/secret.svg", filepath.Join(out, "figures", "sweep.svg"))
		}, "path escapes"},
		{"linked records", func(_ *experiment.Result, out string) {
			link(t, filepath.Join(out, "..", "precious", "secret.svg"), filepath.Join(out, experiment.RecordsFile))
		}, "path escapes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			root := t.TempDir()
			out, results := filepath.Join(root, "out"), filepath.Join(root, "repository", "results")
			put(t, filepath.Join(root, "precious", "secret.svg"), "<svg/>")
			put(t, filepath.Join(root, "repository", "precious", "file"), "")
			put(t, filepath.Join(results, "05-x", "file"), "")
			r := sample()
			write(t, out, r)
			tc.change(r, out)
			result, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			put(t, filepath.Join(out, experiment.ResultFile), string(result))
			before := files(t, root)
			_, err = Publish([]string{out}, results, Options{Smoke: true, Force: true})
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v; want one line with %q", err, tc.want)
			}
			if after := files(t, root); !slices.Equal(before, after) {
				t.Errorf("files were %q; now %q", before, after)
			}
			// The page reads figures too; it may be made of a result with an unknown name.
			if folders, _, err := LoadAll(out); err == nil {
				if page, err := HTML(folders); err == nil && tc.want != unknown {
					t.Errorf("a page of %d bytes was made", len(page))
				}
			}
		})
	}
}

func link(t *testing.T, to, at string) {
	t.Helper()
	if err := os.Remove(at); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(to, at); err != nil {
		t.Fatal(err)
	}
}

func remove(file string) func(*testing.T, string) {
	return func(t *testing.T, out string) {
		if err := os.Remove(filepath.Join(out, file)); err != nil {
			t.Fatal(err)
		}
	}
}

// files lists all files below a folder, with slashes.
func files(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
