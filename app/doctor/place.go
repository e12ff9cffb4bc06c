package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"crier/configs"
)

// place tells whether the store can be written, and how much room it has.
func place(cfg *configs.Config) []Finding {
	if cfg.Store.Path == "" {
		return nil
	}
	folder, err := nearest(filepath.Dir(cfg.Store.Path))
	if err == nil {
		err = tryFolder(folder)
	}
	if err == nil {
		err = tryFile(cfg.Store.Path)
	}
	if err != nil {
		return []Finding{{Wrong, "store.path", err.Error() + ": the user who runs Crier needs the right to write it and its folder"}}
	}
	if f := room(folder); f != nil {
		return []Finding{*f}
	}
	return []Finding{{Fine, "store.path", cfg.Store.Path + " can be written"}}
}

// nearest returns the folder, or the nearest above that exists: those below will be made.
func nearest(folder string) (string, error) {
	for {
		info, err := os.Stat(folder)
		switch up := filepath.Dir(folder); {
		case err == nil && !info.IsDir():
			return "", fmt.Errorf("%s is not a folder", folder)
		case err == nil:
			return folder, nil
		case !errors.Is(err, fs.ErrNotExist) || up == folder:
			return "", err
		default:
			folder = up
		}
	}
}

// tryFolder makes a file and removes it.
func tryFolder(folder string) error {
	f, err := os.CreateTemp(folder, ".crier-doctor-")
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 4096))
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}

// tryFile opens the store's file, if there is one, as the server does, and leaves it as it is.
func tryFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}
