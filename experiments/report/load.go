// Package report reads folders of results, publishes them in the repository, and shows them: as one
// HTML page, and as the tables of README.md and results/README.md.
package report

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/ranking"
	"github.com/geometric-complexity/toolkit/experiments/runs"
)

// Folder is a folder of results: an experiment's output, or its published part.
type Folder struct {
	Dir string
	*experiment.Result
	// Records are those of the runs, in the result's order; nil if the folder has none.
	Records []Record
	// Discussion has the texts of DiscussionFile by the claim's ID.
	Discussion map[string]string
}

// Record is the part of a runs.Record that a report reads: all but its many points.
type Record struct {
	Hash       string          `json:"hash"`
	Status     runs.Status     `json:"status"`
	Message    string          `json:"message"`
	Provenance runs.Provenance `json:"provenance"`
}

// ID returns the folder's name in links.
func (f *Folder) ID() string { return filepath.Base(f.Dir) }

// ErrUnfinished is wrapped by the errors for folders without a result.
var ErrUnfinished = errors.New("the experiment has not finished; the command that began it resumes it")

// errNoExperiment is wrapped by the errors for folders of gcml rank.
var errNoExperiment = errors.New("not an experiment")

// Load reads a folder of results.
func Load(dir string) (*Folder, error) {
	f := &Folder{Dir: dir, Result: new(experiment.Result)}
	file := filepath.Join(dir, experiment.ResultFile)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no folder %s", dir)
	}
	raw, err := readFile(dir, experiment.ResultFile)
	if errors.Is(err, fs.ErrNotExist) {
		if err := noRanking(dir); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%s has no %s: %w", dir, experiment.ResultFile, ErrUnfinished)
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, f.Result); err != nil {
		return nil, fmt.Errorf("%s is damaged (%w); run the experiment again", file, err)
	}
	if f.Name == "" {
		return nil, fmt.Errorf("%s names no experiment; is it a result of gcml run?", file)
	}
	if err := f.checkFigures(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if f.Records, err = readRecords(dir); err != nil {
		return nil, err
	}
	if f.Discussion, err = readDiscussion(dir, f.Claims); err != nil {
		return nil, err
	}
	return f, nil
}

// noRanking returns an error for the folder of a ranking, and for a folder with nothing but
// rankings.
func noRanking(dir string) error {
	if ranking.IsFolder(dir) {
		return fmt.Errorf("%s is a ranking, %w", dir, errNoExperiment)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		return err
	}
	for _, entry := range entries {
		if !ranking.IsFolder(filepath.Join(dir, entry.Name())) {
			return nil
		}
	}
	return fmt.Errorf("%s has rankings, %w", dir, errNoExperiment)
}

// readFile reads a file of a folder of results. The folder may be a stranger's, so links that lead
// out of it are not followed, and only regular files are opened.
func readFile(dir, name string) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	info, err := root.Stat(name)
	if err != nil {
		return nil, inFolder(dir, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", filepath.Join(dir, name))
	}
	data, err := root.ReadFile(name)
	return data, inFolder(dir, err)
}

// inFolder completes the path in an error about a file of a folder.
func inFolder(dir string, err error) error {
	if at := (*fs.PathError)(nil); errors.As(err, &at) {
		return &fs.PathError{Op: "read", Path: filepath.Join(dir, at.Path), Err: at.Err}
	}
	return err
}

// checkFigures refuses figures with paths that gcml never writes, because the paths are joined to
// folders for reading and writing.
func (f *Folder) checkFigures() error {
	for _, figure := range f.Figures {
		name, ok := strings.CutPrefix(figure, experiment.FiguresDir+"/")
		if !ok || strings.ContainsAny(name, `/\:`) || strings.HasPrefix(name, ".") || !filepath.IsLocal(name) {
			return fmt.Errorf("figure %q is not in the folder %s", figure, experiment.FiguresDir)
		}
	}
	return nil
}

func readRecords(dir string) (records []Record, err error) {
	raw, err := readFile(dir, experiment.RecordsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(raw) {
		var r Record
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, fmt.Errorf("%s: line %d is damaged (%w); run the experiment again",
				filepath.Join(dir, experiment.RecordsFile), len(records)+1, err)
		}
		records = append(records, r)
	}
	return records, nil
}

// Skipped is a folder without a result, and says why it has none: Err wraps ErrUnfinished if it is
// an experiment's.
type Skipped struct {
	Dir string
	Err error
}

// LoadAll reads folders of results, and folders that contain such folders, in the order of the
// experiments' numbers. skipped are the contained folders without a result.
func LoadAll(dirs ...string) (folders []*Folder, skipped []Skipped, err error) {
	for _, dir := range dirs {
		f, err := Load(dir)
		if err == nil {
			folders = append(folders, f)
			continue
		}
		if !errors.Is(err, ErrUnfinished) {
			return nil, nil, err
		}
		within, without, err := loadWithin(dir)
		if err != nil {
			return nil, nil, err
		}
		if len(within) == 0 {
			return nil, nil, fmt.Errorf("no results in %s: neither it nor a folder in it has a %s", dir, experiment.ResultFile)
		}
		folders, skipped = append(folders, within...), append(skipped, without...)
	}
	slices.SortStableFunc(folders, inOrder)
	for i := 1; i < len(folders); i++ {
		if a, b := folders[i-1], folders[i]; a.ID() == b.ID() {
			return nil, nil, fmt.Errorf("%s and %s have the same name; give only one of them", a.Dir, b.Dir)
		}
	}
	return folders, skipped, nil
}

func loadWithin(dir string) (folders []*Folder, skipped []Skipped, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, entry := range entries {
		if !entry.IsDir() || strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		inner := filepath.Join(dir, entry.Name())
		f, err := Load(inner)
		switch {
		case errors.Is(err, ErrUnfinished), errors.Is(err, errNoExperiment):
			skipped = append(skipped, Skipped{inner, err})
		case err != nil:
			return nil, nil, err
		default:
			folders = append(folders, f)
		}
	}
	return folders, skipped, nil
}

// inOrder compares by number, with folders without a number last, then by scale and folder.
func inOrder(a, b *Folder) int {
	number := func(f *Folder) string { return cmp.Or(f.Number, "~") }
	scale := func(f *Folder) int { return slices.Index(experiment.Scales(), f.Scale) }
	return cmp.Or(cmp.Compare(number(a), number(b)), cmp.Compare(scale(a), scale(b)), cmp.Compare(a.ID(), b.ID()))
}

// figureBases returns the figures' files without extension, each once.
func (f *Folder) figureBases() (bases []string) {
	for _, file := range f.Figures {
		base := strings.TrimSuffix(file, path.Ext(file))
		if !slices.Contains(bases, base) {
			bases = append(bases, base)
		}
	}
	return bases
}
