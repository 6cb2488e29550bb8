package tensor

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
)

// The format of a saved state, little-endian throughout:
//
//	"SQST", uint32 version
//	a state: string kind, uint32 batch, batch × int64 pos,
//	         uint32 parts, each string name, uint32 rank, rank × uint32, float32 values,
//	         uint32 inner states, each a state
//	uint32 CRC-32C of all before it
//
// A string is a uint32 length and its bytes.
const (
	stateMagic   = "SQST"
	stateVersion = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// MarshalBinary encodes the state; see UnmarshalBinary.
func (st *State) MarshalBinary() ([]byte, error) {
	b := binary.LittleEndian.AppendUint32([]byte(stateMagic), stateVersion)
	b = st.append(b)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli)), nil
}

func (st *State) append(b []byte) []byte {
	le := binary.LittleEndian
	str := func(s string) { b = append(le.AppendUint32(b, uint32(len(s))), s...) }
	str(st.Kind)
	b = le.AppendUint32(b, uint32(st.Batch))
	for _, p := range st.Pos {
		b = le.AppendUint64(b, uint64(p))
	}
	b = le.AppendUint32(b, uint32(len(st.Parts)))
	for _, p := range st.Parts {
		str(p.Name)
		b = le.AppendUint32(b, uint32(p.Value.rank))
		for _, d := range p.Value.Shape() {
			b = le.AppendUint32(b, uint32(d))
		}
		b = slices.Grow(b, 4*p.Value.Len())
		for _, v := range p.Value.Float32s() {
			b = le.AppendUint32(b, math.Float32bits(v))
		}
	}
	b = le.AppendUint32(b, uint32(len(st.Sub)))
	for _, s := range st.Sub {
		b = s.append(b)
	}
	return b
}

// UnmarshalBinary reads an encoded state into st, which must be one of the
// same layer for the same number of sequences: as NewState of the layer makes
// it. Any difference is an error that names it, and leaves st as it was. Only
// parts that grow with the sequence may have another length.
func (st *State) UnmarshalBinary(data []byte) error {
	if len(data) < len(stateMagic)+8 || string(data[:4]) != stateMagic {
		return errors.New("tensor: not a saved state: it does not start with SQST")
	}
	if v := binary.LittleEndian.Uint32(data[4:]); v != stateVersion {
		return fmt.Errorf("tensor: saved state of version %d: want %d", v, stateVersion)
	}
	body, sum := data[:len(data)-4], binary.LittleEndian.Uint32(data[len(data)-4:])
	if got := crc32.Checksum(body, castagnoli); got != sum {
		return fmt.Errorf("tensor: saved state is damaged: checksum %08x, want %08x", got, sum)
	}
	d := decoder{rest: body[8:]}
	next := st.Clone()
	d.state(next, "state")
	if d.err == nil && len(d.rest) > 0 {
		d.fail("%d bytes after the end of the state", len(d.rest))
	}
	if d.err != nil {
		return d.err
	}
	st.take(next)
	return nil
}

// take moves the values of a state of the same form into st.
func (st *State) take(from *State) {
	copy(st.Pos, from.Pos)
	for i, p := range st.Parts {
		p.Value, p.live = from.Parts[i].Value, nil
	}
	for i, s := range st.Sub {
		s.take(from.Sub[i])
	}
}

type decoder struct {
	rest []byte
	err  error
}

func (d *decoder) fail(format string, a ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("tensor: saved state: "+format, a...)
	}
}

func (d *decoder) take(n int, what string) []byte {
	if d.err == nil && (n < 0 || n > len(d.rest)) {
		d.fail("%s wants %d bytes, %d are left", what, n, len(d.rest))
	}
	if d.err != nil {
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) uint32(what string) int {
	b := d.take(4, what)
	if b == nil {
		return 0
	}
	return int(binary.LittleEndian.Uint32(b))
}

func (d *decoder) string(what string) string { return string(d.take(d.uint32(what), what)) }

// state reads into st what must be of st's form.
func (d *decoder) state(st *State, where string) {
	if kind := d.string(where + ": kind"); d.err == nil && kind != st.Kind {
		d.fail("%s is of kind %q, want %q", where, kind, st.Kind)
	}
	if n := d.uint32(where + ": batch"); d.err == nil && n != st.Batch {
		d.fail("%s is for %d sequences, want %d", where, n, st.Batch)
	}
	for i := range st.Pos {
		b := d.take(8, where+": positions")
		if b == nil {
			return
		}
		if st.Pos[i] = int64(binary.LittleEndian.Uint64(b)); st.Pos[i] < 0 {
			d.fail("%s: position %d is %d", where, i, st.Pos[i])
		}
	}
	if n := d.uint32(where + ": parts"); d.err == nil && n != len(st.Parts) {
		d.fail("%s has %d parts, want %d", where, n, len(st.Parts))
	}
	for _, p := range st.Parts {
		d.part(p, where+"."+p.Name)
	}
	if n := d.uint32(where + ": inner states"); d.err == nil && n != len(st.Sub) {
		d.fail("%s has %d inner states, want %d", where, n, len(st.Sub))
	}
	for i, s := range st.Sub {
		if d.err != nil {
			return
		}
		d.state(s, fmt.Sprintf("%s[%d]", where, i))
	}
}

func (d *decoder) part(p *Part, where string) {
	if name := d.string(where + ": name"); d.err == nil && name != p.Name {
		d.fail("%s is called %q", where, name)
	}
	if rank := d.uint32(where + ": rank"); d.err == nil && rank != p.Value.rank {
		d.fail("%s has %d axes, want %d", where, rank, p.Value.rank)
	}
	if d.err != nil {
		return
	}
	shape := slices.Clone(p.Value.Shape())
	n := 1
	for i, want := range shape {
		got := d.uint32(where + ": shape")
		if d.err == nil && got != want && !(i == p.grows && got >= 0) {
			d.fail("%s: axis %d has length %d, want %d", where, i, got, want)
		}
		if d.err != nil {
			return
		}
		shape[i] = got
		if got > 0 && n > len(d.rest)/got { // before memory is taken: the values must be there
			d.fail("%s: shape %v wants more values than the %d bytes that are left", where, shape[:i+1], len(d.rest))
			return
		}
		n *= got
	}
	b := d.take(4*n, where+": values")
	if d.err != nil {
		return
	}
	p.Value = New(shape...)
	for i := range p.Value.data {
		p.Value.data[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
}

// WriteTo writes the encoded state.
func (st *State) WriteTo(w io.Writer) (int64, error) {
	b, err := st.MarshalBinary()
	if err != nil {
		return 0, err
	}
	n, err := w.Write(b)
	return int64(n), err
}

// ReadFrom reads all of r as an encoded state; see UnmarshalBinary. It takes
// no more memory than r has bytes.
func (st *State) ReadFrom(r io.Reader) (int64, error) {
	var b bytes.Buffer
	n, err := b.ReadFrom(bufio.NewReader(r))
	if err != nil {
		return n, err
	}
	return n, st.UnmarshalBinary(b.Bytes())
}

// SaveFile writes the state to a file, whole or not at all: it goes to a
// temporary file beside it, to the disk, and then to its name, so that a write
// that fails leaves the old file as it was.
func (st *State) SaveFile(path string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("tensor: saving a state: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = fmt.Errorf("tensor: saving a state: %w", err)
		}
	}()
	if _, err = st.WriteTo(f); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// LoadFile reads what SaveFile wrote; see UnmarshalBinary.
func (st *State) LoadFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("tensor: loading a state: %w", err)
	}
	defer f.Close()
	if _, err := st.ReadFrom(f); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
