package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// written are two files on the disk, with times and rights of their own.
func written(t *testing.T) []file {
	t.Helper()
	dir := t.TempDir()
	files := []file{{"crier/crier", filepath.Join(dir, "a"), 0o755}, {"crier/LICENSE", filepath.Join(dir, "b"), 0o644}}
	for i, f := range files {
		if err := os.WriteFile(f.path, bytes.Repeat([]byte(f.name), 1000), os.FileMode(0o600+i)); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(f.path, time.Now(), time.Now().Add(time.Duration(i)*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// TestArchives: the same files, written at other times by others, give the same bytes, and come out again.
func TestArchives(t *testing.T) {
	at := time.Date(2026, 11, 28, 12, 0, 1, 0, time.UTC)
	for name, write := range map[string]func(io.Writer, []file, time.Time) error{"tar": tarball, "zip": zipped} {
		t.Run(name, func(t *testing.T) {
			var sums [2]string
			path := filepath.Join(t.TempDir(), "archive")
			for i := range sums {
				var err error
				if sums[i], err = archive(path, written(t), at, write); err != nil {
					t.Fatal(err)
				}
			}
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if sum := sha256.Sum256(data); sums[0] != sums[1] || sums[0] != hex.EncodeToString(sum[:]) {
				t.Errorf("the sums are %q, and the file's is %x", sums, sum)
			}
			read := untar
			if name == "zip" {
				read = unzip
			}
			got := read(t, data, at)
			for _, f := range written(t) {
				if want := string(bytes.Repeat([]byte(f.name), 1000)); got[f.name] != want {
					t.Errorf("%s has %d bytes, want %d", f.name, len(got[f.name]), len(want))
				}
			}
		})
	}
}

func untar(t *testing.T, data []byte, at time.Time) map[string]string {
	t.Helper()
	plain, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for r := tar.NewReader(plain); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if !header.ModTime.Equal(at) || header.Uid != 0 || header.Uname != "" || header.Name == "crier/crier" && header.Mode != 0o755 {
			t.Errorf("header %+v", header)
		}
		got[header.Name] = string(text)
	}
}

func unzip(t *testing.T, data []byte, at time.Time) map[string]string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range z.File {
		if !f.Modified.Equal(at) {
			t.Errorf("%s is of %s", f.Name, f.Modified)
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
		got[f.Name] = string(text)
	}
	return got
}

// TestCompanions: the files that go with the program are there.
func TestCompanions(t *testing.T) {
	for _, name := range companions() {
		if _, err := os.Stat(filepath.Join("../..", name)); err != nil {
			t.Error(err)
		}
	}
}
