package report

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/geometric-complexity/toolkit/experiments"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/atomicfile"
)

// Options allow results that are otherwise refused.
type Options struct {
	// Smoke allows results of the smoke scale, which is for tests.
	Smoke bool
	// Force allows results of code that is not committed, or unknown, and of changed settings.
	Force bool
}

// Publish copies the published part of finished output folders to folders in to, one for each, and
// returns these. It replaces their content, but keeps the discussion. If one of the results is
// refused, nothing changes.
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

// publishedName returns the name of the published folder, such as "05-gc-regularizer". A scale
// other than laptop is part of it, so that results of both can be kept. The folder of that name is
// replaced, and the result may be a stranger's file, so its words are used only if they are the
// names of an experiment and of a scale.
func (f *Folder) publishedName() (string, error) {
	known := func(e experiment.Experiment) bool { return e.Info().Name == f.Name && e.Info().Number == f.Number }
	if !slices.ContainsFunc(append(experiments.All(), experiment.Experiment(experiments.Demo)), known) {
		return "", fmt.Errorf("its result is of no known experiment: name %q, number %q", f.Name, f.Number)
	}
	if !slices.Contains(experiment.Scales(), f.Scale) {
		return "", fmt.Errorf("its result is of no known scale: %q", f.Scale)
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

// publishable returns an error unless the result is complete, repeatable and allowed.
func (f *Folder) publishable(o Options) error {
	switch {
	case f.Scale == "" || f.Command == "":
		return errors.New("its result does not have the command that repeats it; run it again with gcml run")
	case f.Scale == experiment.Smoke && !o.Smoke:
		return errors.New("a result of the smoke scale decides nothing; to publish it anyway, add --smoke")
	}
	if err := f.whole(); err != nil {
		return fmt.Errorf("%w; run its command again: %s", err, f.repeatedBy())
	}
	if strings.Contains(f.Command, " --set ") && !o.Force { // Its folder has the name of the scale.
		return fmt.Errorf("its settings are not those of the %s scale: %s; to publish it anyway, add --force", f.Scale, f.Command)
	}
	if err := f.committed(); err != nil && !o.Force {
		return fmt.Errorf("%w; to publish it anyway, add --force", err)
	}
	return nil
}

// whole returns an error unless the folder has every file that the result names.
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

// committed returns an error unless a known commit contains the code that made the result.
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
			return errors.New("made by a program without a recorded commit (build it with go build -buildvcs=true)")
		}
	}
	return nil
}

// shortHash returns the first digits of a commit's hash.
func shortHash(commit string) string { return commit[:min(len(commit), 12)] }

// files returns the paths of the published files, relative to the folder.
func (f *Folder) files() []string {
	files := []string{experiment.ResultFile, experiment.ClaimsFile, experiment.RecordsFile}
	for _, figure := range f.Figures {
		files = append(files, filepath.FromSlash(figure))
	}
	return files
}

// copyTo copies the files to dir, and the discussion from the earlier published folder.
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

// copyFile copies a file of a folder to the same path in another.
func copyFile(from, to, file string) error {
	data, err := readFile(from, file)
	if err != nil {
		return err
	}
	return atomicfile.Replace(filepath.Join(to, file), data)
}
