package datasets

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// newDownload describes the content as a download at these paths of the server.
func newDownload(server *httptest.Server, file string, content []byte, paths ...string) download {
	sum := sha256.Sum256(content)
	d := download{file: file, size: int64(len(content)), sha256: hex.EncodeToString(sum[:])}
	for _, path := range paths {
		d.urls = append(d.urls, server.URL+path)
	}
	return d
}

// testFetcher downloads from a server and gives up soon.
func testFetcher(server *httptest.Server) *fetcher {
	client := server.Client()
	client.Transport.(*http.Transport).ResponseHeaderTimeout = time.Second
	return &fetcher{client: client, window: time.Second / 2, leastBytes: 1000}
}

func TestFetch(t *testing.T) {
	content := ramp(100_000)
	requests := 0
	mux := http.NewServeMux()
	serve := func(path string, body []byte) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			requests++
			_, _ = w.Write(body)
		})
	}
	serve("/good", content)
	serve("/short", content[:50_000])
	serve("/long", append(bytes.Clone(content), 1))
	serve("/wrong", append(bytes.Clone(content[1:]), 1))
	mux.HandleFunc("/broken", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100000")
		_, _ = w.Write(content[:10])
	})
	server := httptest.NewServer(mux)
	defer server.Close()

	fetch := func(t *testing.T, paths ...string) (string, error) {
		dir := filepath.Join(t.TempDir(), "set")
		return dir, testFetcher(server).fetchAll(t.Context(), []download{newDownload(server, "file", content, paths...)},
			dir, nil)
	}
	for _, test := range []struct {
		name  string
		paths []string
	}{
		{"first address", []string{"/good"}},
		{"second address", []string{"/wrong", "/good"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir, err := fetch(t, test.paths...)
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(filepath.Join(dir, "file"))
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("got %d bytes, %v", len(got), err)
			}
			wantFiles(t, dir, 1)
		})
	}
	for path, test := range map[string]struct {
		want string
		left int // Files: the beginning of a file is kept, but wrong content is not.
	}{
		"/short": {"50000 bytes, the published file has 100000", 1}, "/long": {"more than the 100000 bytes", 0},
		"/wrong": {"SHA-256", 0}, "/broken": {"unexpected EOF", 1}, "/absent": {"404 Not Found", 0},
	} {
		t.Run(path, func(t *testing.T) {
			dir, err := fetch(t, path)
			wantError(t, err, "cannot download file", server.URL+path, test.want)
			wantFiles(t, dir, test.left)
		})
	}
	t.Run("all reasons on one line", func(t *testing.T) {
		_, err := fetch(t, "/short", "/absent")
		wantError(t, err, "/short", "/absent", "; ")
	})
	t.Run("kept if it is there", func(t *testing.T) {
		dir := t.TempDir()
		writeFiles(t, dir, map[string][]byte{"file": content})
		requests = 0
		if err := testFetcher(server).fetchAll(t.Context(), []download{newDownload(server, "file", content, "/good")}, dir,
			nil); err != nil {
			t.Fatal(err)
		}
		if requests != 0 {
			t.Errorf("%d requests for a file that is there, want 0", requests)
		}
	})
	t.Run("replaced if it is wrong", func(t *testing.T) {
		dir := t.TempDir()
		writeFiles(t, dir, map[string][]byte{"file": content[:10]})
		if err := testFetcher(server).fetchAll(t.Context(), []download{newDownload(server, "file", content, "/good")}, dir,
			nil); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(filepath.Join(dir, "file")); !bytes.Equal(got, content) {
			t.Errorf("got %d bytes", len(got))
		}
	})
	t.Run("progress", func(t *testing.T) {
		var last int64
		progress := func(file string, done, total int64) {
			if file != "file" || done < last || total != 100_000 {
				t.Errorf("progress(%q, %d, %d) after %d", file, done, total, last)
			}
			last = done
		}
		if err := testFetcher(server).fetchAll(t.Context(), []download{newDownload(server, "file", content, "/good")},
			t.TempDir(), progress); err != nil {
			t.Fatal(err)
		}
		if last != 100_000 {
			t.Errorf("progress ended at %d", last)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		dir := t.TempDir()
		stop := func(string, int64, int64) { cancel() }
		slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write(content[:10])
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}))
		defer slow.Close()
		err := testFetcher(slow).fetchAll(ctx, []download{newDownload(slow, "file", content, "/a", "/b")}, dir, stop)
		wantError(t, err, "cannot download file")
		if !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "/b") {
			t.Errorf("got %v, want a cancellation at the first address", err)
		}
		wantFiles(t, dir, 1)
	})
}

// An address of a hostile server does not keep a download from completing: the next address
// completes it, from the part that is there if that is right.
func TestFetchFromHostileServer(t *testing.T) {
	content := ramp(100_000)
	var mu sync.Mutex
	var ranges []string // Of the requests to the good address.
	finished := make(chan struct{})
	mux := http.NewServeMux()
	hang := func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
		case <-finished:
		}
	}
	mux.HandleFunc("/good", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		ranges = append(ranges, r.Header.Get("Range"))
		mu.Unlock()
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	})
	mux.HandleFunc("/silent", func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-finished:
		}
	})
	mux.HandleFunc("/stalls",
		func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(content[:60_000]); hang(w, r) })
	mux.HandleFunc("/poison",
		func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(make([]byte, 60_000)); hang(w, r) })
	mux.HandleFunc("/trickles", func(w http.ResponseWriter, r *http.Request) {
		for i := range content {
			_, _ = w.Write(content[i : i+1])
			_ = http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-finished:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
	mux.HandleFunc("/circle",
		func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/circle", http.StatusFound) })
	mux.HandleFunc("/other-range", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Range", "bytes 10-99999/100000")
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(content[10:])
	})
	mux.HandleFunc("/endless", func(w http.ResponseWriter, _ *http.Request) {
		for _, err := w.Write(content); err == nil; _, err = w.Write(content) {
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	defer close(finished)

	for _, test := range []struct {
		paths  []string
		ranges []string // Of the requests to the good address.
	}{
		{[]string{"/silent", "/good"}, []string{""}},
		{[]string{"/stalls", "/good"}, []string{"bytes=60000-"}},
		{[]string{"/poison", "/good"}, []string{"bytes=60000-", ""}},
		{[]string{"/circle", "/good"}, []string{""}},
		{[]string{"/endless", "/good"}, []string{""}},
		{[]string{"/stalls", "/other-range", "/good"}, []string{""}},
	} {
		t.Run(strings.Join(test.paths, " "), func(t *testing.T) {
			ranges = nil
			dir := t.TempDir()
			if err := testFetcher(server).fetchAll(t.Context(), []download{newDownload(server, "file", content, test.paths...)},
				dir, nil); err != nil {
				t.Fatal(err)
			}
			if got, _ := os.ReadFile(filepath.Join(dir, "file")); !bytes.Equal(got, content) {
				t.Errorf("got %d bytes, not those of the file", len(got))
			}
			wantFiles(t, dir, 1)
			if !slices.Equal(ranges, test.ranges) {
				t.Errorf("the good address got requests for the ranges %q, want %q", ranges, test.ranges)
			}
		})
	}
	t.Run("no address is good", func(t *testing.T) {
		dir := t.TempDir()
		err := testFetcher(server).fetchAll(t.Context(),
			[]download{newDownload(server, "file", content, "/silent", "/trickles")},
			dir, nil)
		wantError(t, err, "cannot download file", "/silent", "timeout",
			"/trickles: the transfer stalled (less than 1000 bytes in 500ms)")
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("more than one line: %v", err)
		}
	})
}

func TestFetchContinues(t *testing.T) {
	content := ramp(100_000)
	var asked string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.Header.Get("Range")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}))
	defer server.Close()
	long := time.Now().Add(-time.Hour)
	for _, test := range []struct {
		name, left string
		content    []byte
		changed    time.Time
		asked      string
		files      int
	}{
		{"after a failure", "file.part", content[:300], time.Now(), "bytes=300-", 1},
		{"after a kill", "file.123.part", content[:300], long, "bytes=300-", 1},
		{"beside another process", "file.123.part", content[:300], time.Now(), "", 2},
		{"complete", "file.part", content, long, "none", 1},
		{"too long", "file.part", append(bytes.Clone(content), 1), long, "", 1},
		{"wrong", "file.part", make([]byte, 300), long, "", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			writeFiles(t, dir, map[string][]byte{test.left: test.content})
			if err := os.Chtimes(filepath.Join(dir, test.left), test.changed, test.changed); err != nil {
				t.Fatal(err)
			}
			asked = "none"
			if err := testFetcher(server).fetchAll(t.Context(), []download{newDownload(server, "file", content, "/")}, dir,
				nil); err != nil {
				t.Fatal(err)
			}
			if got, _ := os.ReadFile(filepath.Join(dir, "file")); !bytes.Equal(got, content) || asked != test.asked {
				t.Errorf("got %d bytes after asking for %q; want %q", len(got), asked, test.asked)
			}
			wantFiles(t, dir, test.files)
		})
	}
}

// TestFetchKeepsPart checks that what is there of a file stays if an address fails for another
// reason than the range asked for, and that the next address or call continues from it.
func TestFetchKeepsPart(t *testing.T) {
	content := ramp(100_000)
	var asked string
	mux := http.NewServeMux()
	mux.HandleFunc("/busy", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		asked = r.Header.Get("Range")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	dir := t.TempDir()
	part := filepath.Join(dir, "file.part")
	writeFiles(t, dir, map[string][]byte{"file.part": content[:300]})
	fetch := func(paths ...string) error {
		return testFetcher(server).fetchAll(t.Context(), []download{newDownload(server, "file", content, paths...)}, dir, nil)
	}
	if err := fetch("/busy"); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("got error %v, want the status", err)
	}
	if left, err := os.ReadFile(part); !bytes.Equal(left, content[:300]) {
		t.Errorf("%d bytes are left (%v), want 300", len(left), err)
	}
	if err := fetch("/busy", "/"); err != nil || asked != "bytes=300-" {
		t.Errorf("asked for %q, %v", asked, err)
	}
	wantFiles(t, dir, 1)
}

// wantFiles fails unless the folder contains n files, without temporary ones.
func wantFiles(t *testing.T, dir string, n int) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != n {
		t.Errorf("%d files in the folder, want %d: %v", len(entries), n, entries)
	}
}

func TestDownload(t *testing.T) {
	t.Run("another way", func(t *testing.T) {
		defer func(set *dataSet, downloads []download) { set.downloads = downloads }(catalog[1], catalog[1].downloads)
		catalog[1].downloads = []download{{file: "file", size: 1, sha256: "0", urls: []string{"http://127.0.0.1:1/file"}}}
		dir := t.TempDir()
		err := Download(t.Context(), NameFashionMNIST, dir, nil)
		wantError(t, err, "cannot download file: ",
			"connection refused; another way: put file (http://127.0.0.1:1/) into "+
				filepath.Join(dir, "fashion-mnist")+", or set GCML_DATA to your data folder, "+
				"or apt-get install dataset-fashion-mnist")
	})
	t.Run("unknown", func(t *testing.T) {
		wantError(t, Download(t.Context(), "minst", "", nil), `did you mean "mnist"`)
	})
	t.Run("embedded", func(t *testing.T) {
		wantError(t, Download(t.Context(), NameFashionMNISTSubset, "", nil), "nothing to download")
	})
	t.Run("cancelled before it begins", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := Download(ctx, NameMNIST, t.TempDir(), nil)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want a cancellation", err)
		}
	})
	t.Run("no folder", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "file")
		writeFiles(t, filepath.Dir(path), map[string][]byte{"file": nil})
		wantError(t, Download(t.Context(), NameMNIST, path, nil), "file")
	})
}

// Every download in the catalog has a size, a sum of the right length and an address.
func TestCatalog(t *testing.T) {
	for _, set := range catalog {
		t.Run(set.name, func(t *testing.T) {
			if len(set.classes) != 10 || set.side == 0 || set.title == "" {
				t.Errorf("incomplete: %+v", set)
			}
			for file, sum := range set.contents {
				if raw, err := hex.DecodeString(sum); err != nil || len(raw) != sha256.Size {
					t.Errorf("%s: %q is not a SHA-256 sum", file, sum)
				}
			}
			for _, file := range set.downloads {
				if raw, err := hex.DecodeString(file.sha256); err != nil || len(raw) != sha256.Size {
					t.Errorf("%s: %q is not a SHA-256 sum", file.file, file.sha256)
				}
				if file.size <= 0 || len(file.urls) == 0 || !strings.HasSuffix(file.urls[0], "/"+file.file) {
					t.Errorf("incomplete: %+v", file)
				}
			}
		})
	}
}
