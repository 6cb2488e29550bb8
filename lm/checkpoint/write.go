package checkpoint

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"unicode/utf8"
)

// A Tensor is one tensor to write. Its values are in one of Float32, Int64 and
// Bytes, and are converted to DType on their way out.
type Tensor struct {
	Name  string
	DType DType
	Shape []int

	Float32 []float32 // for F32, F64, F16 and BF16, rounded to nearest even
	Int64   []int64   // for BOOL and the integers, each value in DType's range
	Bytes   []byte    // for any type: little-endian, as stored
}

// Write writes a safetensors file. What is written depends on the tensors and
// the metadata alone, not on their order: larger element types come first, so
// that all data is aligned, then tensors follow by name. Everything is checked
// before the first byte is written.
func Write(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	tensors = slices.Clone(tensors)
	slices.SortStableFunc(tensors, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(b.DType.Size(), a.DType.Size()), cmp.Compare(a.Name, b.Name))
	})
	header, err := makeHeader(tensors, metadata)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	out := bufio.NewWriterSize(w, chunk)
	if err := binary.Write(out, binary.LittleEndian, uint64(len(header))); err != nil {
		return fmt.Errorf("checkpoint: writing the header: %w", err)
	}
	if _, err := out.Write(header); err != nil {
		return fmt.Errorf("checkpoint: writing the header: %w", err)
	}
	for _, t := range tensors {
		if err := t.write(out); err != nil {
			return fmt.Errorf("checkpoint: writing tensor %q: %w", t.Name, err)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("checkpoint: writing: %w", err)
	}
	return nil
}

// WriteFile writes a safetensors file at path, whole or not at all: it goes to a
// temporary file in the same directory, to the disk, and then to its name. A
// file of that name stays as it was until then, and for good after an error.
func WriteFile(path string, tensors []Tensor, metadata map[string]string) (err error) {
	dir, base := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	f, err := os.CreateTemp(dir, "."+base+".*.tmp")
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if err = Write(f, tensors, metadata); err != nil {
		return err
	}
	mode := os.FileMode(0o644)
	if st, e := os.Stat(path); e == nil {
		mode = st.Mode().Perm()
	}
	// A system without such modes is not a reason to lose the file.
	if e := f.Chmod(mode); e != nil && !errors.Is(e, errors.ErrUnsupported) {
		return fmt.Errorf("checkpoint: %w", e)
	}
	if err = f.Sync(); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if err = f.Close(); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	// The new name is on the disk once the directory is; not every system can
	// do that, and the file is whole either way.
	if d, e := os.Open(dir); e == nil {
		_ = d.Sync()
		d.Close()
	}
	return nil
}

// check checks a tensor and returns the size of its data.
func (t *Tensor) check() (size int64, err error) {
	if !utf8.ValidString(t.Name) || t.Name == metadataKey {
		return 0, errors.New("the name is reserved or not valid UTF-8")
	}
	if !t.DType.valid() {
		return 0, fmt.Errorf("unknown dtype %s", t.DType)
	}
	n, ok := elements(t.Shape)
	if !ok || n > math.MaxInt64/int64(t.DType.Size()) {
		return 0, fmt.Errorf("shape %v of %s has a negative length or more than 2^63 bytes", t.Shape, t.DType)
	}
	size = n * int64(t.DType.Size())
	if n == 0 && t.Float32 == nil && t.Int64 == nil && t.Bytes == nil {
		return 0, nil
	}
	sources := 0
	if t.Float32 != nil {
		sources++
		if !t.DType.isFloat() {
			return 0, fmt.Errorf("dtype %s cannot be written from Float32, want %s", t.DType, wantFloat)
		}
		if int64(len(t.Float32)) != n {
			return 0, fmt.Errorf("shape %v needs %d values, Float32 has %d", t.Shape, n, len(t.Float32))
		}
	}
	if t.Int64 != nil {
		sources++
		if !t.DType.isInt() {
			return 0, fmt.Errorf("dtype %s cannot be written from Int64, want an integer or BOOL", t.DType)
		}
		if int64(len(t.Int64)) != n {
			return 0, fmt.Errorf("shape %v needs %d values, Int64 has %d", t.Shape, n, len(t.Int64))
		}
		lo, hi := t.DType.intRange()
		for i, v := range t.Int64 {
			if v < lo || v > hi {
				return 0, fmt.Errorf("value %d is %d, outside %s's range [%d, %d]", i, v, t.DType, lo, hi)
			}
		}
	}
	if t.Bytes != nil {
		sources++
		if int64(len(t.Bytes)) != size {
			return 0, fmt.Errorf("shape %v of %s needs %d bytes, Bytes has %d", t.Shape, t.DType, size, len(t.Bytes))
		}
	}
	if sources != 1 {
		return 0, fmt.Errorf("%d of Float32, Int64 and Bytes are set, want one", sources)
	}
	return size, nil
}

func (d DType) intRange() (lo, hi int64) {
	bits := 8 * d.Size()
	switch d {
	case Bool:
		return 0, 1
	case U8, U16, U32:
		return 0, 1<<bits - 1
	case U64:
		return 0, math.MaxInt64
	}
	return -1 << (bits - 1), 1<<(bits-1) - 1
}

func makeHeader(tensors []Tensor, metadata map[string]string) ([]byte, error) {
	var b bytes.Buffer
	put := func(v any) { b.Write(marshal(v)) }
	b.WriteByte('{')
	comma := ""
	if len(metadata) > 0 {
		put(metadataKey)
		b.WriteString(":{")
		for _, k := range slices.Sorted(maps.Keys(metadata)) {
			if !utf8.ValidString(k) || !utf8.ValidString(metadata[k]) {
				return nil, fmt.Errorf("metadata %q is not valid UTF-8", k)
			}
			b.WriteString(comma)
			put(k)
			b.WriteByte(':')
			put(metadata[k])
			comma = ","
		}
		b.WriteByte('}')
		comma = ","
	}
	seen := map[string]bool{}
	var at int64
	for i := range tensors {
		t := &tensors[i]
		size, err := t.check()
		if err == nil && seen[t.Name] {
			err = errors.New("there are two of that name")
		}
		if err == nil && size > math.MaxInt64-at {
			err = errors.New("the file has more than 2^63 bytes")
		}
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		seen[t.Name] = true
		b.WriteString(comma)
		put(t.Name)
		shape := t.Shape
		if shape == nil {
			shape = []int{}
		}
		fmt.Fprintf(&b, `:{"dtype":"%s","shape":`, t.DType)
		put(shape)
		fmt.Fprintf(&b, `,"data_offsets":[%d,%d]}`, at, at+size)
		at += size
		comma = ","
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 { // so that the data is aligned to 8 bytes
		b.WriteByte(' ')
	}
	if b.Len() > MaxHeader {
		return nil, fmt.Errorf("the header has %d bytes, want at most %d", b.Len(), MaxHeader)
	}
	return b.Bytes(), nil
}

// marshal prints a string or a list of integers, which cannot fail, without
// escaping for HTML.
func marshal(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// write writes the data, which check has accepted.
func (t *Tensor) write(w *bufio.Writer) error {
	if t.Bytes != nil {
		_, err := w.Write(t.Bytes)
		return err
	}
	var b [8]byte
	put := func(u uint64) error {
		binary.LittleEndian.PutUint64(b[:], u)
		_, err := w.Write(b[:t.DType.Size()])
		return err
	}
	for _, v := range t.Int64 {
		if err := put(uint64(v)); err != nil {
			return err
		}
	}
	for _, v := range t.Float32 {
		var u uint64
		switch t.DType {
		case F32:
			u = uint64(math.Float32bits(v))
		case F64:
			u = math.Float64bits(float64(v))
		case F16:
			u = uint64(toF16(v))
		case BF16:
			u = uint64(toBF16(v))
		}
		if err := put(u); err != nil {
			return err
		}
	}
	return nil
}
