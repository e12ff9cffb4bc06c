package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// file is one of an archive.
type file struct {
	name string // in it
	path string // on the disk
	mode int64
}

// archive writes files, all of one time, into a new file, and returns its SHA-256 in hex.
func archive(path string, files []file, at time.Time, write func(io.Writer, []file, time.Time) error) (sum string, err error) {
	out, err := os.Create(path)
	if err != nil {
		return "", fmt.Errorf("making the archive: %w", err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	hash := sha256.New()
	if err := write(io.MultiWriter(out, hash), files, at); err != nil {
		return "", fmt.Errorf("writing %s: %w", path, err)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// tarball writes files as tar, compressed by gzip.
func tarball(out io.Writer, files []file, at time.Time) error {
	compressed := gzip.NewWriter(out)
	t := tar.NewWriter(compressed)
	for _, f := range files {
		data, err := os.ReadFile(f.path)
		if err != nil {
			return err
		}
		if err := t.WriteHeader(&tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(data)), ModTime: at, Format: tar.FormatUSTAR}); err != nil {
			return err
		}
		if _, err := t.Write(data); err != nil {
			return err
		}
	}
	return errors.Join(t.Close(), compressed.Close())
}

// zipped writes files as zip.
func zipped(out io.Writer, files []file, at time.Time) error {
	z := zip.NewWriter(out)
	for _, f := range files {
		data, err := os.ReadFile(f.path)
		if err != nil {
			return err
		}
		header := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: at}
		header.SetMode(os.FileMode(f.mode))
		w, err := z.CreateHeader(header)
		if err != nil {
			return err
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
	return z.Close()
}
