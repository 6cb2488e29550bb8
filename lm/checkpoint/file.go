package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
)

// A File is an open checkpoint: one safetensors file, or the shards of one
// model. Its methods may be called from several goroutines; Close may not run
// beside them.
type File struct {
	shards []*shard
	infos  []Info
	index  map[string]int
	meta   map[string]string
}

// A shard is one file. Its bytes are in mem (mapped, or given to NewReader) or
// behind r.
type shard struct {
	name  string
	mem   []byte
	r     io.ReaderAt
	base  int64
	close func() error
}

var errClosed = errors.New("the file is closed")

// Open opens a safetensors file. The file must not be changed while it is
// open: where it is mapped, a change shows, and a page that has gone is an
// error of Float32 and its like, but a fault in the bytes that Bytes gave.
func Open(path string) (*File, error) {
	f := newFile()
	if err := f.add(path); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// NewReader reads a safetensors file from memory, which must not change while
// the File is in use.
func NewReader(data []byte) (*File, error) {
	f := newFile()
	if err := f.addShard(&shard{name: "data", mem: data}, int64(len(data))); err != nil {
		return nil, err
	}
	return f, nil
}

func newFile() *File { return &File{index: map[string]int{}, meta: map[string]string{}} }

// add opens one more file and takes in its tensors.
func (f *File) add(path string) error {
	// Before opening: opening a pipe would wait for a writer.
	st, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if !st.Mode().IsRegular() {
		return fmt.Errorf("checkpoint: %s: not a regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if st, err = file.Stat(); err != nil {
		file.Close()
		return fmt.Errorf("checkpoint: %w", err)
	}
	s := &shard{name: path, r: file, close: file.Close}
	if mem, err := mapFile(file, st.Size()); err == nil {
		file.Close() // the mapping stays
		s.mem, s.r = mem, nil
		s.close = func() error { return unmap(mem) }
	}
	return f.addShard(s, st.Size())
}

func (f *File) addShard(s *shard, size int64) error {
	f.shards = append(f.shards, s)
	var infos []Info
	var meta map[string]string
	err := guard(func() (err error) {
		r := s.r
		if r == nil {
			r = bytes.NewReader(s.mem)
		}
		infos, meta, s.base, err = readHeader(r, size)
		return err
	})
	if err != nil {
		return fmt.Errorf("checkpoint: %s: %w", s.name, err)
	}
	for _, t := range infos {
		t.shard = len(f.shards) - 1
		if i, ok := f.index[t.Name]; ok {
			return fmt.Errorf("checkpoint: %s: tensor %q is in %s too", s.name, t.Name, f.shards[f.infos[i].shard].name)
		}
		f.index[t.Name] = len(f.infos)
		f.infos = append(f.infos, t)
	}
	for k, v := range meta {
		if _, ok := f.meta[k]; !ok {
			f.meta[k] = v
		}
	}
	return nil
}

// Close releases the file. The bytes that Bytes gave must not be used after it.
func (f *File) Close() error {
	var errs []error
	for _, s := range f.shards {
		if s.close != nil {
			errs = append(errs, s.close())
		}
		s.mem, s.r, s.close = nil, nil, nil
	}
	return errors.Join(errs...)
}

// Names lists the tensors in the order of their data; shards follow each other
// in the order of their file names.
func (f *File) Names() []string {
	names := make([]string, len(f.infos))
	for i, t := range f.infos {
		names[i] = t.Name
	}
	return names
}

// Info describes a tensor; ok is false when the file has none of that name.
func (f *File) Info(name string) (t Info, ok bool) {
	i, ok := f.index[name]
	if !ok {
		return Info{}, false
	}
	t = f.infos[i]
	t.Shape = slices.Clone(t.Shape)
	return t, true
}

// Metadata is a copy of the file's free-form texts. Where shards disagree, the
// first one's text stands.
func (f *File) Metadata() map[string]string { return maps.Clone(f.meta) }

// find returns a tensor and its shard, or an error that names the file.
func (f *File) find(name string) (Info, *shard, error) {
	i, ok := f.index[name]
	if !ok {
		return Info{}, nil, fmt.Errorf("checkpoint: %s: no tensor %q", f.where(), name)
	}
	t := f.infos[i]
	s := f.shards[t.shard]
	if s.mem == nil && s.r == nil {
		return t, s, s.errorf(t, "%w", errClosed)
	}
	return t, s, nil
}

func (f *File) where() string {
	if len(f.shards) == 1 {
		return f.shards[0].name
	}
	return filepath.Dir(f.shards[0].name)
}

func (s *shard) errorf(t Info, format string, a ...any) error {
	return fmt.Errorf("checkpoint: %s: tensor %q: %w", s.name, t.Name, fmt.Errorf(format, a...))
}

// Bytes gives a tensor's data as stored, little-endian. Where the file is
// mapped it is the mapping itself: no copy, read-only (a write is a fault), and
// gone after Close. The data is aligned to its elements in files that pad their
// header, as Write does; the format does not promise it.
func (f *File) Bytes(name string) ([]byte, error) {
	t, s, err := f.find(name)
	if err != nil {
		return nil, err
	}
	if s.mem != nil {
		at := s.base + t.begin
		return s.mem[at : at+t.Size : at+t.Size], nil
	}
	b := make([]byte, t.Size)
	if _, err := s.r.ReadAt(b, s.base+t.begin); err != nil && t.Size > 0 {
		return nil, s.errorf(t, "reading its %d bytes: %w", t.Size, err)
	}
	return b, nil
}

// chunk is how much is read and converted at a time; a multiple of every element.
const chunk = 64 << 10

// each calls use with the tensor's bytes, a piece of whole elements at a time,
// and with the index of the piece's first element.
func (s *shard) each(t Info, use func(first int, b []byte) error) error {
	err := guard(func() error {
		var buf []byte
		if s.mem == nil {
			buf = make([]byte, min(chunk, t.Size))
		}
		for at := int64(0); at < t.Size; at += chunk {
			n := min(chunk, t.Size-at)
			b := buf[:min(n, int64(len(buf)))]
			if s.mem != nil {
				b = s.mem[s.base+t.begin+at:][:n]
			} else if _, err := s.r.ReadAt(b, s.base+t.begin+at); err != nil {
				return fmt.Errorf("reading %d bytes: %w", n, err)
			}
			if err := use(int(at/int64(t.DType.Size())), b); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return s.errorf(t, "%w", err)
	}
	return nil
}

// guard turns a fault in mapped memory, which is what a file that shrinks under
// a mapping gives, into an error.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			// Where the system does not tell the address, as under an emulator, the
			// fault looks like one of a nil pointer, of which there are none here.
			e, ok := r.(runtime.Error)
			_, fault := r.(interface{ Addr() uintptr })
			if !ok || (!fault && !strings.Contains(e.Error(), "nil pointer")) {
				panic(r)
			}
			err = errors.New("the file shrank or cannot be read any more")
		}
	}()
	return f()
}

// checkRead checks the arguments of Float32 and its like.
func (f *File) checkRead(name string, n int, ok func(DType) bool, want string) (Info, *shard, error) {
	t, s, err := f.find(name)
	if err != nil {
		return t, s, err
	}
	if !ok(t.DType) {
		return t, s, s.errorf(t, "its dtype is %s, want %s", t.DType, want)
	}
	if n != t.Len() {
		return t, s, s.errorf(t, "it has %d elements of shape %v, dst has %d", t.Len(), t.Shape, n)
	}
	return t, s, nil
}

const wantFloat = "F64, F32, F16 or BF16"

// Float32 reads a tensor of F64, F32, F16 or BF16 into dst, which must have its
// number of elements. F64 is rounded to the nearest float32. NaN and infinities
// are read as they are: see CheckFinite.
func (f *File) Float32(name string, dst []float32) error {
	t, s, err := f.checkRead(name, len(dst), DType.isFloat, wantFloat)
	if err != nil {
		return err
	}
	return s.each(t, func(first int, b []byte) error {
		readFloat32(dst[first:], t.DType, b)
		return nil
	})
}

// Float64 reads a tensor of F64, F32, F16 or BF16 into dst, which must have its
// number of elements.
func (f *File) Float64(name string, dst []float64) error {
	t, s, err := f.checkRead(name, len(dst), DType.isFloat, wantFloat)
	if err != nil {
		return err
	}
	return s.each(t, func(first int, b []byte) error {
		readFloat64(dst[first:], t.DType, b)
		return nil
	})
}

// Int64 reads a tensor of BOOL, U8 … I64 or U64 into dst, which must have its
// number of elements. A U64 value above the range of int64 is an error.
func (f *File) Int64(name string, dst []int64) error {
	t, s, err := f.checkRead(name, len(dst), DType.isInt, "an integer or BOOL")
	if err != nil {
		return err
	}
	return s.each(t, func(first int, b []byte) error {
		return readInt64(dst[first:], t.DType, b, first)
	})
}

// CheckFinite looks for NaN and infinities in the named tensors, or in all when
// none are named, and reports the first one with its index. Tensors of integers
// have none; those of eight-bit floats are not looked at.
func (f *File) CheckFinite(names ...string) error {
	if len(names) == 0 {
		names = f.Names()
	}
	var buf [chunk / 2]float64
	for _, name := range names {
		t, s, err := f.find(name)
		if err != nil {
			return err
		}
		if !t.DType.isFloat() {
			continue
		}
		err = s.each(t, func(first int, b []byte) error {
			n := len(b) / t.DType.Size()
			readFloat64(buf[:n], t.DType, b)
			for i, v := range buf[:n] {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					return fmt.Errorf("value at index %v is %v, want finite values", unravel(first+i, t.Shape), v)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// unravel gives the index of element i of a tensor.
func unravel(i int, shape []int) []int {
	at := make([]int, len(shape))
	for k := len(shape) - 1; k >= 0; k-- {
		at[k] = i % shape[k]
		i /= shape[k]
	}
	return at
}

// The names under which a model's directory keeps its weights.
const (
	ModelName = "model.safetensors"
	IndexName = "model.safetensors.index.json"
)

// OpenDir opens the checkpoint in a directory: model.safetensors, or else all
// the shards that model.safetensors.index.json names. Shards must lie in the
// directory itself, and each tensor in the shard that the index says.
func OpenDir(dir string) (*File, error) {
	single := filepath.Join(dir, ModelName)
	if _, err := os.Stat(single); !errors.Is(err, fs.ErrNotExist) {
		return Open(single)
	}
	path := filepath.Join(dir, IndexName)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("checkpoint: %s has neither %s nor %s: %w", dir, ModelName, IndexName, fs.ErrNotExist)
	}
	weights, err := readIndex(path)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %s: %w", path, err)
	}
	f := newFile()
	shards := slices.Compact(slices.Sorted(maps.Values(weights)))
	for _, name := range shards {
		if err := f.add(filepath.Join(dir, name)); err != nil {
			f.Close()
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(weights)) {
		i, ok := f.index[name]
		if !ok || shards[f.infos[i].shard] != weights[name] {
			f.Close()
			return nil, fmt.Errorf("checkpoint: %s: tensor %q is not in %s", path, name, weights[name])
		}
	}
	return f, nil
}

// readIndex returns which shard holds which tensor.
func readIndex(path string) (map[string]string, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() || st.Size() > MaxHeader {
		return nil, fmt.Errorf("not a regular file of at most %d bytes", MaxHeader)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p := newParser(text)
	weights := map[string]string{}
	err = p.object("the index", func(key string) error {
		if key != "weight_map" {
			return p.skip()
		}
		return p.object("weight_map", func(key string) error {
			name, err := p.str(fmt.Sprintf("weight_map[%q]", key))
			if err != nil {
				return err
			}
			// A separator of any system, a drive, or a name that is a directory
			// would lead out of the checkpoint.
			if !filepath.IsLocal(name) || name == "." || strings.ContainsAny(name, `/\:`) {
				return p.errorf("weight_map[%q] is %s, want the name of a file beside the index", key, show(name))
			}
			weights[key] = name
			return nil
		})
	})
	if err == nil && len(weights) == 0 {
		err = errors.New("the index names no tensors, want a weight_map")
	}
	return weights, err
}

func le16(b []byte, i int) uint16 { return binary.LittleEndian.Uint16(b[2*i:]) }
func le32(b []byte, i int) uint32 { return binary.LittleEndian.Uint32(b[4*i:]) }
func le64(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[8*i:]) }
