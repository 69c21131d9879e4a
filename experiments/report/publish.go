package report

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/geometric-complexity/toolkit/experiments"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/atomicfile"
)

// Options say which results may be published that else are refused.
type Options struct {
	// Smoke lets in results of the scale that is for tests.
	Smoke bool
	// Force lets in results of code that no commit holds, or that is not known.
	Force bool
}

// Publish copies what is worth keeping of finished output folders into folders
// of to, one for each, in the place of what was there; the discussion stays. It
// returns the new folders. None is touched if one of the results is refused.
func Publish(outs []string, to string, o Options) (published []string, err error) {
	var folders []*Folder
	var names []string
	from := map[string]string{}
	for _, out := range outs {
		f, err := Load(out)
		if err != nil {
			return nil, err
		}
		if err := f.publishable(o); err != nil {
			return nil, fmt.Errorf("%s: %w", out, err)
		}
		name, err := f.publishedName()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", out, err)
		}
		if other, ok := from[name]; ok {
			return nil, fmt.Errorf("%s and %s would both become %s; give only one of them", other, out, filepath.Join(to, name))
		}
		from[name] = out
		folders, names = append(folders, f), append(names, name)
	}
	for i, f := range folders {
		path := filepath.Join(to, names[i])
		if err := atomicfile.ReplaceDir(path, func(dir string) error { return f.copyTo(dir, path) }); err != nil {
			return published, err
		}
		published = append(published, path)
	}
	return published, nil
}

// publishedName is "05-gc-regularizer". A scale other than the one that results
// are usually made at is part of it, so that both can be kept. The folder of that
// name is replaced: the result is somebody's file, so its words are used only
// where they are an experiment's and a scale's.
func (f *Folder) publishedName() (string, error) {
	known := func(e experiment.Experiment) bool { return e.Info().Name == f.Name && e.Info().Number == f.Number }
	if !slices.ContainsFunc(append(experiments.All(), experiment.Experiment(experiments.Demo)), known) {
		return "", fmt.Errorf("its result names experiment %q, number %q, which there is not", f.Name, f.Number)
	}
	if !slices.Contains(experiment.Scales(), f.Scale) {
		return "", fmt.Errorf("its result names scale %q, which there is not", f.Scale)
	}
	name := f.Name
	if f.Number != "" {
		name = f.Number + "-" + name
	}
	if f.Scale != experiment.Laptop {
		name += "-" + string(f.Scale)
	}
	return name, nil
}

// publishable is nil if the result is whole, can be repeated, and is allowed.
func (f *Folder) publishable(o Options) error {
	switch {
	case f.Scale == "" || f.Command == "":
		return errors.New("its result does not say the command that repeats it; run it again with gcml run")
	case f.Scale == experiment.Smoke && !o.Smoke:
		return errors.New("a result of the smoke scale decides nothing; to publish it all the same, add --smoke")
	}
	if err := f.whole(); err != nil {
		return fmt.Errorf("%w; run its command again: %s", err, f.Command)
	}
	if err := f.committed(); err != nil && !o.Force {
		return fmt.Errorf("%w; to publish it all the same, add --force", err)
	}
	return nil
}

// whole is nil if all that the result speaks of is in the folder.
func (f *Folder) whole() error {
	for _, file := range f.files() {
		data, err := readFile(f.Dir, file)
		if errors.Is(err, fs.ErrNotExist) || err == nil && len(data) == 0 {
			return fmt.Errorf("%s is missing or empty", file)
		}
		if err != nil {
			return err
		}
	}
	if len(f.Records) != len(f.Runs) {
		return fmt.Errorf("%s has %d records of %d runs", experiment.RecordsFile, len(f.Records), len(f.Runs))
	}
	for i, run := range f.Runs {
		if f.Records[i].Hash != run.Hash {
			return fmt.Errorf("%s: line %d is of run %s, not of %s", experiment.RecordsFile, i+1, f.Records[i].Hash, run.Hash)
		}
	}
	return nil
}

// committed is nil if all was made by code that a known commit holds.
func (f *Folder) committed() error {
	all := []runs.Provenance{f.Provenance}
	for _, r := range f.Records {
		all = append(all, r.Provenance)
	}
	for _, p := range all {
		if p.Modified {
			return fmt.Errorf("made from a working tree with changes to commit %s", shortHash(p.Commit))
		}
		if p.Commit == "" {
			return errors.New("made by a program that does not know its commit (build it with go build -buildvcs=true)")
		}
	}
	return nil
}

// shortHash is a commit's hash as people write it.
func shortHash(commit string) string { return commit[:min(len(commit), 12)] }

// files are the paths of what is worth keeping, below the folder.
func (f *Folder) files() []string {
	files := []string{experiment.ResultFile, experiment.ClaimsFile, experiment.RecordsFile}
	for _, figure := range f.Figures {
		files = append(files, filepath.FromSlash(figure))
	}
	return files
}

// copyTo copies the files to dir, and the discussion from where the result was
// published before.
func (f *Folder) copyTo(dir, before string) error {
	for _, file := range f.files() {
		if err := copyFile(f.Dir, dir, file); err != nil {
			return err
		}
	}
	err := copyFile(before, dir, DiscussionFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// copyFile copies a file of a folder to the same place in another.
func copyFile(from, to, file string) error {
	data, err := readFile(from, file)
	if err != nil {
		return err
	}
	return atomicfile.Replace(filepath.Join(to, file), data)
}
