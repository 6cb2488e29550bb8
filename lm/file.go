package lm

import (
	"fmt"
	"os"

	"github.com/subquad/subquad/lm/checkpoint"
)

// openCheckpoint opens a file, or the shards in a folder.
func openCheckpoint(path string) (*checkpoint.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("lm: %w", err)
	}
	if info.IsDir() {
		return checkpoint.OpenDir(path)
	}
	return checkpoint.Open(path)
}

// Save writes the model's weights as a float32 safetensors file under the
// names that they were loaded by. A write that fails leaves an old file whole.
func (m *Model) Save(path string) error {
	var tensors []checkpoint.Tensor
	for _, p := range m.Params() {
		tensors = append(tensors, checkpoint.Tensor{Name: p.Name, DType: checkpoint.F32, Shape: p.Shape(), Float32: p.Float32s()})
	}
	return checkpoint.WriteFile(path, tensors, map[string]string{"format": "pt", "architecture": m.Arch})
}
