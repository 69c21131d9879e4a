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
	"strings"
	"testing"
)

// offer is a download of the content at the address path of the server.
func offer(server *httptest.Server, file string, content []byte, paths ...string) download {
	sum := sha256.Sum256(content)
	d := download{file: file, size: int64(len(content)), sha256: hex.EncodeToString(sum[:])}
	for _, path := range paths {
		d.urls = append(d.urls, server.URL+path)
	}
	return d
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
		return dir, fetchAll(t.Context(), server.Client(), []download{offer(server, "file", content, paths...)}, dir, nil)
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
	for path, want := range map[string]string{
		"/short": "50000 bytes or more, the published file has 100000", "/long": "100001 bytes",
		"/wrong": "SHA-256", "/broken": "unexpected EOF", "/absent": "404 Not Found",
	} {
		t.Run(path, func(t *testing.T) {
			dir, err := fetch(t, path)
			wantError(t, err, "cannot download file", server.URL+path, want)
			wantFiles(t, dir, 0)
		})
	}
	t.Run("all reasons in one line", func(t *testing.T) {
		_, err := fetch(t, "/short", "/absent")
		wantError(t, err, "/short", "/absent", "; ")
	})
	t.Run("kept if it is there", func(t *testing.T) {
		dir := t.TempDir()
		writeFiles(t, dir, map[string][]byte{"file": content})
		requests = 0
		if err := fetchAll(t.Context(), server.Client(), []download{offer(server, "file", content, "/good")}, dir, nil); err != nil {
			t.Fatal(err)
		}
		if requests != 0 {
			t.Errorf("%d requests for a file that is there", requests)
		}
	})
	t.Run("replaced if it is wrong", func(t *testing.T) {
		dir := t.TempDir()
		writeFiles(t, dir, map[string][]byte{"file": content[:10]})
		if err := fetchAll(t.Context(), server.Client(), []download{offer(server, "file", content, "/good")}, dir, nil); err != nil {
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
		if err := fetchAll(t.Context(), server.Client(), []download{offer(server, "file", content, "/good")}, t.TempDir(), progress); err != nil {
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
		err := fetchAll(ctx, slow.Client(), []download{offer(slow, "file", content, "/a", "/b")}, dir, stop)
		wantError(t, err, "cannot download file")
		if !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "/b") {
			t.Errorf("got %v, want it cancelled at the first address", err)
		}
		wantFiles(t, dir, 0)
	})
}

// wantFiles fails unless the folder holds n files: no temporary ones are left.
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
			t.Errorf("got %v, want it cancelled", err)
		}
	})
	t.Run("no folder", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "file")
		writeFiles(t, filepath.Dir(path), map[string][]byte{"file": nil})
		wantError(t, Download(t.Context(), NameMNIST, path, nil), "file")
	})
}

// The download table is complete: sums of the right length, sizes, and an address for each file.
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
