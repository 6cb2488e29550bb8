package lm

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

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

// Save writes the model's weights as a float32 safetensors file under the names
// that they were loaded by; it writes no config.json. A write that fails leaves
// an old file whole.
func (m *Model) Save(path string) error {
	var tensors []checkpoint.Tensor
	for _, p := range m.Params() {
		tensors = append(tensors, checkpoint.Tensor{Name: p.Name, DType: checkpoint.F32, Shape: p.Shape(), Float32: p.Float32s()})
	}
	return checkpoint.WriteFile(path, tensors, map[string]string{"format": "pt", "architecture": m.Arch})
}

// Load loads a model from a folder with a Hugging Face config.json and
// safetensors beside it, or from an RWKV checkpoint (see LoadRWKV). The
// package's page lists the types. Weights are read into memory as float32,
// whatever the file holds; NaN and infinities among them are an error, as is a
// tensor that is missing, unknown or of another shape than the configuration
// says.
func Load(path string) (*Model, error) {
	config, err := os.ReadFile(filepath.Join(path, "config.json"))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return LoadRWKV(path)
	}
	if err != nil {
		return nil, fmt.Errorf("lm: %w", err)
	}
	var c Config
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, fmt.Errorf("lm: %s: config.json: %w", path, err)
	}
	f, err := openCheckpoint(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// A hostile configuration is refused before memory is taken: the sizes must be those of the file.
	arch, ok := architectures[c.ModelType]
	if ok {
		name := arch.names.embedding + ".weight"
		t, found := f.Info(name)
		if !found || len(t.Shape) != 2 || t.Shape[0] != c.VocabSize || t.Shape[1] != c.HiddenSize {
			return nil, fmt.Errorf("lm: config.json has vocab_size %d and hidden_size %d: tensor %q has shape %v", c.VocabSize, c.HiddenSize, name, t.Shape)
		}
	}
	m, err := New(c)
	if err != nil {
		return nil, err
	}
	return m, fill(m.Params(), f, func(string) bool { return false })
}
