//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package checkpoint

import (
	"os"
	"path/filepath"
	"testing"
)

// TestShrunkFile: a file that is cut while it is mapped gives an error, not a crash.
func TestShrunkFile(t *testing.T) {
	const n = 1 << 18
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := WriteFile(path, []Tensor{{Name: "x", DType: F32, Shape: []int{n}, Float32: make([]float32, n)}}, nil); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Truncate(path, 4096); err != nil {
		t.Fatal(err)
	}
	wantErr(t, f.Float32("x", make([]float32, n)), "checkpoint: "+path+`: tensor "x": the file shrank or cannot be read any more`)
}
