package datasets

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"example.com/geometric-complexity/internal/atomicfile"
)

// Progress is told how many bytes of a file have arrived.
type Progress func(file string, done, total int64)

// Download fetches the published files of a data set into dir/<name>, where [Locate] finds them if dir is the data
// folder; an empty dir is the data folder ([DataDir]). Files that are already there with the right SHA-256 are kept.
// Each file is written under a temporary name, checked by size and SHA-256, and renamed; a wrong or partial
// file is removed. The progress function may be nil.
//
// Errors are an unknown name, a set that has nothing to download (the embedded one), a cancelled context, and for
// each file the reasons why none of its addresses gave the right content.
func Download(ctx context.Context, name, dir string, progress Progress) error {
	set, err := lookup(name)
	if err != nil {
		return err
	}
	if len(set.downloads) == 0 {
		return fmt.Errorf("data set %s is embedded: there is nothing to download", name)
	}
	if dir == "" {
		if dir, err = DataDir(); err != nil {
			return err
		}
	}
	return fetchAll(ctx, http.DefaultClient, set.downloads, filepath.Join(dir, set.name), progress)
}

func fetchAll(ctx context.Context, client *http.Client, files []download, dir string, progress Progress) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	for _, file := range files {
		path := filepath.Join(dir, file.file)
		if isFile(path, file.sha256) {
			continue
		}
		if err := fetch(ctx, client, file, path, progress); err != nil {
			return err
		}
	}
	return nil
}

func isFile(path, want string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	got, err := sum(f)
	return err == nil && got == want
}

// fetch tries one address after the other.
func fetch(ctx context.Context, client *http.Client, file download, path string, progress Progress) error {
	var failures []error
	for _, url := range file.urls {
		err := fetchURL(ctx, client, file, url, path, progress)
		if err == nil {
			return nil
		}
		failures = append(failures, err)
		if ctx.Err() != nil {
			break
		}
	}
	return fmt.Errorf("cannot download %s: %w", file.file, oneLine(failures))
}

// oneLine joins errors by semicolons, where errors.Join would put them on lines of their own.
func oneLine(errs []error) error {
	joined := errs[0]
	for _, err := range errs[1:] {
		joined = fmt.Errorf("%w; %w", joined, err)
	}
	return joined
}

func fetchURL(ctx context.Context, client *http.Client, file download, url, path string, progress Progress) (err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	temp, err := os.CreateTemp(filepath.Dir(path), file.file+".*.part")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			temp.Close()
			err = errors.Join(err, os.Remove(temp.Name()))
		}
	}()
	if err := receive(temp, response.Body, file, url, progress); err != nil {
		return err
	}
	if err := errors.Join(temp.Chmod(0o644), temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(path))
}

// receive copies the body and checks its size and SHA-256. One byte more than expected is read, so that a longer body
// is noticed without being stored.
func receive(w io.Writer, body io.Reader, file download, url string, progress Progress) error {
	hash := sha256.New()
	counted := &countingWriter{file: file, progress: progress}
	n, err := io.Copy(io.MultiWriter(w, hash, counted), io.LimitReader(body, file.size+1))
	if err != nil {
		return fmt.Errorf("%s: %w", url, err)
	}
	if n != file.size {
		return fmt.Errorf("%s: %d bytes or more, the published file has %d", url, n, file.size)
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != file.sha256 {
		return fmt.Errorf("%s: SHA-256 %s, the published file has %s", url, got, file.sha256)
	}
	return nil
}

// countingWriter reports what went through it.
type countingWriter struct {
	file     download
	done     int64
	progress Progress
}

func (c *countingWriter) Write(p []byte) (int, error) {
	c.done += int64(len(p))
	if c.progress != nil {
		c.progress(c.file.file, min(c.done, c.file.size), c.file.size)
	}
	return len(p), nil
}
