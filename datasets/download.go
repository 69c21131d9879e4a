package datasets

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/geometric-complexity/toolkit/internal/atomicfile"
)

// Progress receives the number of bytes of a file that have arrived, and their total.
type Progress func(file string, done, total int64)

// Download fetches the published files of a data set into dir/<name>, where [Locate] finds them if
// dir is the data folder; if dir is empty, it is the data folder ([DataDir]). Download keeps files
// that are already there with the right SHA-256. It writes each file under a temporary name, checks
// its size and SHA-256, and renames it. It keeps the beginning of an incomplete file, from which
// the next address or the next call continues, and removes wrong content. If an address does not
// answer or stalls for half a minute, it tries the next one. progress may be nil.
//
// It returns an error for an unknown name, for the embedded set, which has nothing to download, and
// if the context is cancelled. If no address has the right content of a file, or a file cannot be
// written, it returns a *[DownloadError].
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
	folder := filepath.Join(dir, set.name)
	err = newFetcher().fetchAll(ctx, set.downloads, folder, progress)
	if err == nil || ctx.Err() != nil {
		return err
	}
	if info, statErr := os.Lstat(folder); statErr == nil && info.IsDir() {
		_ = os.Remove(folder) // It stays if it holds a file, or the part of one.
	}
	var failed *fetchError
	if errors.As(err, &failed) {
		return &DownloadError{Err: err, Hint: set.alternatives(dir)}
	}
	hint := fmt.Sprintf("set %s to a folder that can be written; it is %s now", EnvData, dir)
	return &DownloadError{Err: err, Hint: hint}
}

// DownloadError reports that a data set could not be downloaded.
type DownloadError struct {
	// Err gives, if no address has the right content of a file, the reason for each address.
	Err error
	// Hint says in one line how to get the set in another way.
	Hint string
}

// Error includes the hint.
func (e *DownloadError) Error() string { return fmt.Sprintf("%v; another way: %s", e.Err, e.Hint) }

// Unwrap returns the cause.
func (e *DownloadError) Unwrap() error { return e.Err }

// fetcher downloads files.
type fetcher struct {
	client *http.Client
	// window is the time within which an address must send leastBytes.
	window     time.Duration
	leastBytes int64
}

func newFetcher() *fetcher {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext = (&net.Dialer{Timeout: 15 * time.Second}).DialContext
	transport.TLSHandshakeTimeout = 15 * time.Second
	transport.ResponseHeaderTimeout = 30 * time.Second
	return &fetcher{client: &http.Client{Transport: transport}, window: 30 * time.Second, leastBytes: 30_000}
}

func (f *fetcher) fetchAll(ctx context.Context, files []download, dir string, progress Progress) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	for _, file := range files {
		path := filepath.Join(dir, file.file)
		if isFile(path, file.sha256) {
			continue
		}
		if err := f.fetch(ctx, file, path, progress); err != nil {
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

// fetchError reports that no address has a file.
type fetchError struct {
	file    string
	reasons error
}

func (e *fetchError) Error() string { return fmt.Sprintf("cannot download %s: %v", e.file, e.reasons) }
func (e *fetchError) Unwrap() error { return e.reasons }

// fetch tries one address after the other.
func (f *fetcher) fetch(ctx context.Context, file download, path string, progress Progress) error {
	part, err := openPart(path)
	if err != nil {
		return err
	}
	var failures []error
	for _, url := range file.urls {
		err := f.fetchURL(ctx, file, url, part, progress)
		if errors.Is(err, errResumed) {
			err = f.fetchURL(ctx, file, url, part, progress)
		}
		if err == nil {
			return part.complete(path)
		}
		if ctx.Err() != nil {
			failures = []error{ctx.Err()} // The address's error would say the same.
			break
		}
		failures = append(failures, err)
	}
	return errors.Join(&fetchError{file.file, oneLine(failures)}, part.keep(path))
}

// oneLine joins errors with semicolons, because errors.Join uses line breaks.
func oneLine(errs []error) error {
	joined := errs[0]
	for _, err := range errs[1:] {
		joined = fmt.Errorf("%w; %w", joined, err)
	}
	return joined
}

// errResumed reports wrong content that began with a part from another address or an earlier call.
// The part is removed, and the same address is asked again for the whole file.
var errResumed = errors.New("the part from before was wrong")

var errStalled = errors.New("the transfer stalled")

// fetchURL appends the missing bytes of a file to its part, and checks the whole file.
func (f *fetcher) fetchURL(ctx context.Context, file download, url string, part *part, progress Progress) error {
	have, err := part.size()
	if err != nil {
		return err
	}
	if have >= file.size { // Complete or too long: only the sum can tell.
		if err := part.check(file, url); err == nil {
			return nil
		}
		have = 0
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	if have > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	}
	response, err := f.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	switch {
	case response.StatusCode == http.StatusPartialContent && startsAt(response, have):
	case response.StatusCode == http.StatusOK:
		have = 0
	case have > 0 && isRangeRefused(response.StatusCode):
		return errors.Join(errResumed, part.truncate(0))
	default:
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	if err := part.truncate(have); err != nil {
		return err
	}
	body := &stallReader{r: response.Body, window: f.window, least: f.leastBytes,
		stalled: func() { cancel(errStalled) }}
	defer body.stop()
	if err := receive(part, body, file, have, progress); err != nil {
		if errors.Is(context.Cause(ctx), errStalled) {
			err = fmt.Errorf("%w (less than %d bytes in %s)", errStalled, f.leastBytes, f.window)
		}
		return fmt.Errorf("%s: %w", url, err)
	}
	err = part.check(file, url)
	if err != nil && have > 0 {
		return errResumed
	}
	return err
}

// isRangeRefused reports whether the server is there but does not continue from the byte that was
// requested.
func isRangeRefused(status int) bool {
	return status == http.StatusRequestedRangeNotSatisfiable || status == http.StatusPartialContent
}

// startsAt reports whether a partial response begins at the byte that was requested.
func startsAt(response *http.Response, first int64) bool {
	var start int64
	_, err := fmt.Sscanf(response.Header.Get("Content-Range"), "bytes %d-", &start)
	return err == nil && first > 0 && start == first
}

// receive appends the body to the bytes that are there. It reads one byte more than expected, to
// notice a longer body.
func receive(w io.Writer, body io.Reader, file download, have int64, progress Progress) error {
	counted := &countingWriter{file: file, done: have, progress: progress}
	_, err := io.Copy(io.MultiWriter(w, counted), io.LimitReader(body, file.size-have+1))
	return err
}

// countingWriter reports how many bytes were written to it.
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

// stallReader calls stalled if fewer than least bytes arrive within a window of time.
type stallReader struct {
	r       io.Reader
	window  time.Duration
	least   int64
	stalled func()

	bytes int64 // In this window.
	timer *time.Timer
}

func (w *stallReader) Read(p []byte) (int, error) {
	switch {
	case w.timer == nil:
		w.timer = time.AfterFunc(w.window, w.stalled)
	case w.bytes >= w.least:
		w.timer.Reset(w.window)
		w.bytes = 0
	}
	n, err := w.r.Read(p)
	w.bytes += int64(n)
	return n, err
}

func (w *stallReader) stop() {
	if w.timer != nil {
		w.timer.Stop()
	}
}

// part is an incomplete file.
type part struct{ file *os.File }

// abandonedAfter is the time without a write after which a part of another process counts as
// abandoned: active downloads write more often.
const abandonedAfter = 2 * time.Minute

// openPart opens the part of a file and continues the part of an earlier call if there is one. Each
// process writes to its own file, and takes over an abandoned part by renaming it, so that no two
// processes write to one file.
func openPart(path string) (*part, error) {
	own, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.part")
	if err != nil {
		return nil, err
	}
	left, err := filepath.Glob(escapeGlob(path) + ".*.part")
	if err != nil {
		return nil, err
	}
	for _, other := range append(left, path+".part") {
		info, err := os.Stat(other)
		if err != nil || other == own.Name() || other != path+".part" && time.Since(info.ModTime()) < abandonedAfter {
			continue
		}
		if err := own.Close(); err != nil {
			return nil, err
		}
		if err := os.Rename(other, own.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) { // Another process took it.
			return nil, err
		}
		if own, err = os.OpenFile(own.Name(), os.O_RDWR, 0); err != nil {
			return nil, err
		}
	}
	return &part{own}, nil
}

// escapeGlob returns a pattern that matches exactly this path.
func escapeGlob(path string) string {
	var escaped []byte
	for i := range len(path) {
		switch path[i] {
		case '*', '?', '[':
			escaped = append(escaped, '[', path[i], ']')
		default:
			escaped = append(escaped, path[i])
		}
	}
	return string(escaped)
}

func (p *part) Write(b []byte) (int, error) { return p.file.Write(b) }

func (p *part) size() (int64, error) {
	info, err := p.file.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// truncate keeps the first n bytes and makes Write append to them.
func (p *part) truncate(n int64) error {
	if err := p.file.Truncate(n); err != nil {
		return err
	}
	_, err := p.file.Seek(n, io.SeekStart)
	return err
}

// check compares the size and SHA-256 with the published ones. It keeps a part that is too short,
// and empties a wrong one.
func (p *part) check(file download, url string) error {
	n, err := p.size()
	if err != nil {
		return err
	}
	if n < file.size {
		return fmt.Errorf("%s: %d bytes, the published file has %d", url, n, file.size)
	}
	if n > file.size {
		return errors.Join(fmt.Errorf("%s: more than the %d bytes of the published file", url, file.size), p.truncate(0))
	}
	if _, err := p.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, p.file); err != nil {
		return err
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != file.sha256 {
		return errors.Join(fmt.Errorf("%s: SHA-256 %s, the published file has %s", url, got, file.sha256), p.truncate(0))
	}
	return nil
}

// complete renames the part to path, which makes it the file.
func (p *part) complete(path string) error {
	if err := errors.Join(p.file.Chmod(0o644), p.file.Sync(), p.file.Close()); err != nil {
		return err
	}
	if err := os.Rename(p.file.Name(), path); err != nil {
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(path))
}

// keep saves the part for the next call, unless it is empty.
func (p *part) keep(path string) error {
	n, err := p.size()
	if err := errors.Join(err, p.file.Close()); err != nil {
		return err
	}
	if n == 0 {
		return os.Remove(p.file.Name())
	}
	return os.Rename(p.file.Name(), path+".part")
}
