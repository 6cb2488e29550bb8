package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestGeneratedFilesAreCurrent(t *testing.T) {
	for _, gen := range files {
		f := gen()
		got, err := os.ReadFile(filepath.Join(root(), f.path))
		if err != nil || string(got) != f.b.String() {
			t.Errorf("%s is stale: go run ./internal/asmgen -write (%v)", f.path, err)
		}
	}
}
