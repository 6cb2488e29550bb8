package checkpoint

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"unicode/utf8"
)

// MaxHeader is the largest header that is read, in bytes. It is upstream's
// limit (safetensors/src/tensor.rs, MAX_HEADER_SIZE).
const MaxHeader = 100_000_000

const metadataKey = "__metadata__"

// readHeader reads and checks the header of a file of size bytes. The tensors
// come in the order of their data; data starts at byte base.
func readHeader(r io.ReaderAt, size int64) (infos []Info, meta map[string]string, base int64, err error) {
	if size < 8 {
		return nil, nil, 0, fmt.Errorf("the file has %d bytes, want at least the 8 of the header's length", size)
	}
	var head [8]byte
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return nil, nil, 0, fmt.Errorf("reading the header's length: %w", err)
	}
	n := binary.LittleEndian.Uint64(head[:])
	if n > MaxHeader {
		return nil, nil, 0, fmt.Errorf("the header's length is %d bytes, want at most %d", n, MaxHeader)
	}
	if n > uint64(size-8) {
		return nil, nil, 0, fmt.Errorf("the header's length is %d bytes, but only %d follow: truncated", n, size-8)
	}
	header := make([]byte, n)
	if _, err := r.ReadAt(header, 8); err != nil && (err != io.EOF || n > 0) {
		return nil, nil, 0, fmt.Errorf("reading the header: %w", err)
	}
	base = 8 + int64(n)
	infos, meta, err = parseHeader(header)
	if err != nil {
		return nil, nil, 0, err
	}
	if err := checkLayout(infos, size-base); err != nil {
		return nil, nil, 0, err
	}
	return infos, meta, base, nil
}

// checkLayout sorts the tensors by place and checks that they tile data bytes
// without overlap or gap, as upstream demands.
func checkLayout(infos []Info, data int64) error {
	slices.SortFunc(infos, func(a, b Info) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.Size, b.Size), cmp.Compare(a.Name, b.Name))
	})
	var at int64
	last := ""
	for _, t := range infos {
		end := t.begin + t.Size
		switch {
		case end > data:
			return fmt.Errorf("tensor %q: data_offsets [%d, %d] leave the data, which has %d bytes", t.Name, t.begin, end, data)
		case t.begin < at:
			return fmt.Errorf("tensor %q: data_offsets [%d, %d] overlap tensor %q, which ends at %d", t.Name, t.begin, end, last, at)
		case t.begin > at:
			return fmt.Errorf("tensor %q: data_offsets [%d, %d] leave a gap, want them to start at %d", t.Name, t.begin, end, at)
		}
		at, last = end, t.Name
	}
	if at != data {
		return fmt.Errorf("the tensors end at byte %d of the data, which has %d bytes", at, data)
	}
	return nil
}

// A parser walks the header token by token: encoding/json's own decoding would
// accept repeated keys and names in the wrong case.
type parser struct{ dec *json.Decoder }

func newParser(text []byte) parser {
	p := parser{json.NewDecoder(bytes.NewReader(text))}
	p.dec.UseNumber()
	return p
}

// skip passes over one value of any kind.
func (p parser) skip() error {
	var v json.RawMessage
	if err := p.dec.Decode(&v); err != nil {
		return p.errorf("%w", err)
	}
	return nil
}

func (p parser) errorf(format string, a ...any) error {
	return fmt.Errorf("JSON, before byte %d: %w", p.dec.InputOffset(), fmt.Errorf(format, a...))
}

func (p parser) token() (json.Token, error) {
	t, err := p.dec.Token()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, p.errorf("%w", err)
	}
	return t, nil
}

// show prints a token for an error, briefly.
func show(t json.Token) string {
	s := fmt.Sprint(t)
	if q, ok := t.(string); ok {
		s = strconv.Quote(q)
	} else if t == nil {
		s = "null"
	}
	if len(s) > 64 {
		s = s[:64] + "…"
	}
	return s
}

func (p parser) delim(want json.Delim, what string) error {
	t, err := p.token()
	if err == nil && t != want {
		err = p.errorf("%s starts with %s, want %s", what, show(t), want)
	}
	return err
}

func (p parser) str(what string) (string, error) {
	t, err := p.token()
	if err != nil {
		return "", err
	}
	s, ok := t.(string)
	if !ok {
		return "", p.errorf("%s is %s, want a string", what, show(t))
	}
	return s, nil
}

// object calls f with each key of the object that comes next.
func (p parser) object(what string, f func(key string) error) error {
	if err := p.delim('{', what); err != nil {
		return err
	}
	seen := map[string]bool{}
	for p.dec.More() {
		key, err := p.str("a key of " + what)
		if err != nil {
			return err
		}
		if seen[key] {
			return p.errorf("%s has the key %q twice", what, key)
		}
		seen[key] = true
		if err := f(key); err != nil {
			return err
		}
	}
	_, err := p.token()
	return err
}

// ints reads an array of integers >= 0.
func (p parser) ints(what string) ([]int64, error) {
	if err := p.delim('[', what); err != nil {
		return nil, err
	}
	list := []int64{}
	for p.dec.More() {
		t, err := p.token()
		if err != nil {
			return nil, err
		}
		n, ok := t.(json.Number)
		v, err := strconv.ParseInt(string(n), 10, 64)
		if !ok || err != nil || v < 0 {
			return nil, p.errorf("%s holds %s, want an integer in [0, 2^63)", what, show(t))
		}
		list = append(list, v)
	}
	_, err := p.token()
	return list, err
}

func parseHeader(header []byte) (infos []Info, meta map[string]string, err error) {
	if len(header) == 0 || header[0] != '{' {
		return nil, nil, fmt.Errorf("the header starts with %q, want '{'", header[:min(1, len(header))])
	}
	if !utf8.Valid(header) {
		return nil, nil, errors.New("the header is not valid UTF-8")
	}
	p := newParser(header)
	meta = map[string]string{}
	err = p.object("the header", func(key string) error {
		if key == metadataKey {
			return p.object(metadataKey, func(key string) error {
				s, err := p.str(fmt.Sprintf("%s[%q]", metadataKey, key))
				meta[key] = s
				return err
			})
		}
		t, err := p.tensor(key)
		infos = append(infos, t)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if rest := bytes.TrimLeft(header[p.dec.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return nil, nil, p.errorf("%d bytes follow the header's end, want spaces only", len(rest))
	}
	return infos, meta, nil
}

func (p parser) tensor(name string) (Info, error) {
	t := Info{Name: name, Shape: []int{}}
	var offsets []int64
	have := 0
	what := fmt.Sprintf("tensor %q", name)
	err := p.object(what, func(key string) error {
		have++
		switch key {
		case "dtype":
			s, err := p.str(what + ": dtype")
			if err != nil {
				return err
			}
			var ok bool
			if t.DType, ok = parseDType(s); !ok {
				return p.errorf("%s: unknown dtype %s", what, show(s))
			}
		case "shape":
			dims, err := p.ints(what + ": shape")
			if err != nil {
				return err
			}
			for _, d := range dims {
				if int64(int(d)) != d {
					return p.errorf("%s: shape holds %d, too large for this machine", what, d)
				}
				t.Shape = append(t.Shape, int(d))
			}
		case "data_offsets":
			var err error
			offsets, err = p.ints(what + ": data_offsets")
			if err != nil {
				return err
			}
			if len(offsets) != 2 || offsets[0] > offsets[1] {
				return p.errorf("%s: data_offsets are %v, want [begin, end] with begin <= end", what, offsets)
			}
		default:
			return p.errorf("%s has an unknown key %s, want dtype, shape and data_offsets", what, show(key))
		}
		return nil
	})
	if err != nil {
		return t, err
	}
	if have != 3 {
		return t, p.errorf("%s has %d keys, want dtype, shape and data_offsets", what, have)
	}
	t.begin, t.Size = offsets[0], offsets[1]-offsets[0]
	n, ok := elements(t.Shape)
	if !ok || n > (1<<63-1)/int64(t.DType.Size()) {
		return t, p.errorf("%s: shape %v of %s has more than 2^63 bytes", what, t.Shape, t.DType)
	}
	if n *= int64(t.DType.Size()); n != t.Size {
		return t, p.errorf("%s: shape %v of %s needs %d bytes, data_offsets %v give %d", what, t.Shape, t.DType, n, offsets, t.Size)
	}
	return t, nil
}
