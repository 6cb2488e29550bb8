package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// file puts a header before data bytes.
func file(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}

// one is a header with one tensor called w.
func one(dtype, shape, offsets string) string {
	return fmt.Sprintf(`{"w":{"dtype":"%s","shape":%s,"data_offsets":%s}}`, dtype, shape, offsets)
}

func length(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }

var badFiles = []struct {
	name string
	data []byte
	want string // after "checkpoint: data: "
}{
	{"empty", nil, `the file has 0 bytes, want at least the 8 of the header's length`},
	{"short length", []byte{1, 2, 3}, `the file has 3 bytes, want at least the 8 of the header's length`},
	{"no header", length(0), `the header starts with "", want '{'`},
	{"header above limit", length(MaxHeader + 1), `the header's length is 100000001 bytes, want at most 100000000`},
	{"header of 2^64-1", length(math.MaxUint64), `the header's length is 18446744073709551615 bytes, want at most 100000000`},
	{"header truncated", append(length(100), '{'), `the header's length is 100 bytes, but only 1 follow: truncated`},
	{"not an object", file(`[]`, 0), `the header starts with "[", want '{'`},
	{"space first", file(` {}`, 0), `the header starts with " ", want '{'`},
	{"not UTF-8", file("{\"\xff\":1}", 0), `the header is not valid UTF-8`},
	{"JSON cut off", file(`{"w":{"dtype":"F32"`, 0), `JSON, before byte 19: unexpected EOF`},
	{"text after the end", file(`{} {}`, 0), `JSON, before byte 2: 2 bytes follow the header's end, want spaces only`},
	{"tensor is a list", file(`{"w":[1]}`, 0), `JSON, before byte 6: tensor "w" starts with [, want {`},
	{"two of one name", file(`{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1),
		`JSON, before byte 56: the header has the key "w" twice`},
	{"two dtypes", file(`{"w":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}}`, 1),
		`JSON, before byte 26: tensor "w" has the key "dtype" twice`},
	{"metadata twice", file(`{"__metadata__":{"a":"b","a":"c"}}`, 0), `JSON, before byte 28: __metadata__ has the key "a" twice`},
	{"metadata is a number", file(`{"__metadata__":{"a":5}}`, 0), `JSON, before byte 22: __metadata__["a"] is 5, want a string`},
	{"unknown dtype", file(one("F31", "[1]", "[0,4]"), 4), `JSON, before byte 19: tensor "w": unknown dtype "F31"`},
	{"dtype is null", file(`{"w":{"dtype":null,"shape":[],"data_offsets":[0,4]}}`, 4), `JSON, before byte 18: tensor "w": dtype is null, want a string`},
	{"unknown key", file(`{"w":{"dtype":"F32","strides":[1]}}`, 4),
		`JSON, before byte 29: tensor "w" has an unknown key "strides", want dtype, shape and data_offsets`},
	{"key missing", file(`{"w":{"dtype":"F32","shape":[1]}}`, 4), `JSON, before byte 32: tensor "w" has 2 keys, want dtype, shape and data_offsets`},
	{"negative length", file(one("F32", "[-1]", "[0,4]"), 4), `JSON, before byte 31: tensor "w": shape holds -1, want an integer in [0, 2^63)`},
	{"fraction", file(one("F32", "[1.0]", "[0,4]"), 4), `JSON, before byte 32: tensor "w": shape holds 1.0, want an integer in [0, 2^63)`},
	{"length is text", file(one("F32", `["1"]`, "[0,4]"), 4), `JSON, before byte 32: tensor "w": shape holds "1", want an integer in [0, 2^63)`},
	{"shape overflows", file(one("U8", "[2147483647,2147483647,2147483647]", "[0,4]"), 4),
		`JSON, before byte 83: tensor "w": shape [2147483647 2147483647 2147483647] of U8 has more than 2^63 bytes`},
	{"size overflows", file(one("F64", "[2147483647,2147483647]", "[0,4]"), 4),
		`JSON, before byte 73: tensor "w": shape [2147483647 2147483647] of F64 has more than 2^63 bytes`},
	{"size differs", file(one("F32", "[3]", "[0,8]"), 8), `JSON, before byte 53: tensor "w": shape [3] of F32 needs 12 bytes, data_offsets [0 8] give 8`},
	{"three offsets", file(one("F32", "[1]", "[0,4,8]"), 4), `JSON, before byte 54: tensor "w": data_offsets are [0 4 8], want [begin, end] with begin <= end`},
	{"offsets swapped", file(one("F32", "[1]", "[4,0]"), 4), `JSON, before byte 52: tensor "w": data_offsets are [4 0], want [begin, end] with begin <= end`},
	{"out of range", file(one("F32", "[2]", "[0,8]"), 4), `tensor "w": data_offsets [0, 8] leave the data, which has 4 bytes`},
	{"huge", file(one("U8", "[1000000000000]", "[0,1000000000000]"), 4), hugeError()},
	{"gap at start", file(one("F32", "[1]", "[4,8]"), 8), `tensor "w": data_offsets [4, 8] leave a gap, want them to start at 0`},
	{"gap", file(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[3,5]}}`, 5),
		`tensor "b": data_offsets [3, 5] leave a gap, want them to start at 2`},
	{"overlap", file(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 3),
		`tensor "b": data_offsets [1, 3] overlap tensor "a", which ends at 2`},
	{"same place", file(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, 2),
		`tensor "b": data_offsets [0, 2] overlap tensor "a", which ends at 2`},
	{"data left over", file(one("F32", "[1]", "[0,4]"), 5), `the tensors end at byte 4 of the data, which has 5 bytes`},
	{"data truncated", file(one("F32", "[1]", "[0,4]"), 3), `tensor "w": data_offsets [0, 4] leave the data, which has 3 bytes`},
	{"no tensors, some data", file(`{}`, 1), `the tensors end at byte 0 of the data, which has 1 bytes`},
}

// hugeError differs on 32-bit machines, which have no int for such a length.
func hugeError() string {
	if math.MaxInt == math.MaxInt32 {
		return `JSON, before byte 42: tensor "w": shape holds 1000000000000, too large for this machine`
	}
	return `tensor "w": data_offsets [0, 1000000000000] leave the data, which has 4 bytes`
}

func TestBadFiles(t *testing.T) {
	dir := t.TempDir()
	for i, c := range badFiles {
		t.Run(c.name, func(t *testing.T) {
			_, err := NewReader(c.data)
			if err == nil || err.Error() != "checkpoint: data: "+c.want {
				t.Errorf("got  %v\nwant checkpoint: data: %s", err, c.want)
			}
			path := filepath.Join(dir, fmt.Sprint(i))
			if err := os.WriteFile(path, c.data, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err = Open(path)
			if want := "checkpoint: " + path + ": " + c.want; err == nil || err.Error() != want {
				t.Errorf("from a file: got  %v\nwant %s", err, want)
			}
		})
	}
}

// TestLyingSizesTakeNoMemory opens files whose headers claim much more than they have.
func TestLyingSizesTakeNoMemory(t *testing.T) {
	files := [][]byte{length(MaxHeader), file(one("U8", "[2000000000]", "[0,2000000000]"), 4)}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, data := range files {
		if _, err := NewReader(data); err == nil {
			t.Error("accepted")
		}
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes allocated", n)
	}
}

func TestGoodHeaders(t *testing.T) {
	for _, c := range []struct {
		name, header string
		data         int
		names        []string
	}{
		{"nothing", `{}`, 0, []string{}},
		{"padding", `{}   `, 0, []string{}},
		{"metadata only", `{"__metadata__":{"format":"pt"}}`, 0, []string{}},
		{"scalar", one("F32", "[]", "[0,4]"), 4, []string{"w"}},
		{"no elements", one("F64", "[0,1000000]", "[0,0]"), 0, []string{"w"}},
		{"out of order", `{"b":{"shape":[2],"data_offsets":[1,3],"dtype":"U8"},"a":{"dtype":"U8","shape":[1],"data_offsets":[3,4]},"c":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"z":{"dtype":"U8","shape":[0],"data_offsets":[1,1]}}`, 4, []string{"c", "z", "b", "a"}},
		{"escaped name", `{"a\u00e9\n":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1, []string{"aé\n"}},
		{"eight bits", one("F8_E4M3", "[3]", "[0,3]"), 3, []string{"w"}},
	} {
		f, err := NewReader(file(c.header, c.data))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if !slices.Equal(f.Names(), c.names) {
			t.Errorf("%s: names %q, want %q", c.name, f.Names(), c.names)
		}
		if err := f.CheckFinite(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

var values = []float32{0, float32(math.Copysign(0, -1)), 1, -2.5, 65504, 0x1p-24, 0x1p-14, 1e-30}

// sample has every type.
func sample() ([]Tensor, map[string]string) {
	bits := []byte{1, 0, 1}
	return []Tensor{
		{Name: "bool", DType: Bool, Shape: []int{3}, Bytes: bits},
		{Name: "u8", DType: U8, Shape: []int{2}, Int64: []int64{0, 255}},
		{Name: "i8", DType: I8, Shape: []int{2}, Int64: []int64{-128, 127}},
		{Name: "i16", DType: I16, Shape: []int{2}, Int64: []int64{-32768, 32767}},
		{Name: "u16", DType: U16, Shape: []int{1}, Int64: []int64{65535}},
		{Name: "i32", DType: I32, Shape: []int{2}, Int64: []int64{math.MinInt32, math.MaxInt32}},
		{Name: "u32", DType: U32, Shape: []int{1}, Int64: []int64{math.MaxUint32}},
		{Name: "i64", DType: I64, Shape: []int{2}, Int64: []int64{math.MinInt64, math.MaxInt64}},
		{Name: "u64", DType: U64, Shape: []int{1}, Int64: []int64{math.MaxInt64}},
		{Name: "f32", DType: F32, Shape: []int{2, 4}, Float32: values},
		{Name: "f64", DType: F64, Shape: []int{8}, Float32: values},
		{Name: "f16", DType: F16, Shape: []int{4, 2}, Float32: values},
		{Name: "bf16", DType: BF16, Shape: []int{8, 1}, Float32: values},
		{Name: "scalar", DType: F32, Float32: []float32{7}},
		{Name: "none", DType: F32, Shape: []int{3, 0}},
		{Name: `quoted "<é>"`, DType: U8, Shape: []int{1}, Bytes: []byte{9}},
	}, map[string]string{"format": "pt", "a": "<b>\n"}
}

func TestRoundTrip(t *testing.T) {
	tensors, meta := sample()
	dir := t.TempDir()
	path := filepath.Join(dir, "x.safetensors")
	if err := WriteFile(path, tensors, meta); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	slices.Reverse(tensors) // the order must not matter
	if err := Write(&b, tensors, meta); err != nil {
		t.Fatal(err)
	}
	onDisk, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(onDisk, b.Bytes()) {
		t.Fatalf("WriteFile and Write differ (%v)", err)
	}
	if n := binary.LittleEndian.Uint64(onDisk); n%8 != 0 {
		t.Errorf("header of %d bytes: the data is not aligned", n)
	}
	mapped, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer mapped.Close()
	if runtime.GOOS == "linux" && mapped.shards[0].mem == nil {
		t.Error("the file is not mapped")
	}
	inMemory, err := NewReader(onDisk)
	if err != nil {
		t.Fatal(err)
	}
	// Systems without mmap read through ReadAt.
	throughReads := newFile()
	if err := throughReads.addShard(&shard{name: "r", r: bytes.NewReader(onDisk)}, int64(len(onDisk))); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]*File{"mapped": mapped, "memory": inMemory, "ReadAt": throughReads} {
		t.Run(name, func(t *testing.T) { checkSample(t, f) })
	}
}

func checkSample(t *testing.T, f *File) {
	tensors, meta := sample()
	if got := f.Metadata(); !reflect.DeepEqual(got, meta) {
		t.Errorf("metadata %q", got)
	}
	if len(f.Names()) != len(tensors) {
		t.Errorf("names %q", f.Names())
	}
	for _, want := range tensors {
		info, ok := f.Info(want.Name)
		if !ok || info.DType != want.DType || !slices.Equal(info.Shape, want.Shape) {
			t.Errorf("%s: info %+v, %v", want.Name, info, ok)
		}
		raw, err := f.Bytes(want.Name)
		if err != nil || int64(len(raw)) != info.Size {
			t.Errorf("%s: %d bytes, %v", want.Name, len(raw), err)
		}
		switch {
		case want.Float32 != nil:
			got, wide := make([]float32, info.Len()), make([]float64, info.Len())
			if err := errors.Join(f.Float32(want.Name, got), f.Float64(want.Name, wide)); err != nil {
				t.Error(err)
			}
			for i, v := range want.Float32 {
				if want.DType == F16 && v == 1e-30 {
					v = 0
				}
				tol := 0.0
				if want.DType == BF16 {
					tol = math.Abs(float64(v)) / 256
				}
				if math.Abs(float64(got[i]-v)) > tol || math.Signbit(float64(got[i])) != math.Signbit(float64(v)) || wide[i] != float64(got[i]) {
					t.Errorf("%s[%d] = %v and %v, want %v", want.Name, i, got[i], wide[i], v)
				}
			}
		case want.Int64 != nil:
			got := make([]int64, info.Len())
			if err := f.Int64(want.Name, got); err != nil || !slices.Equal(got, want.Int64) {
				t.Errorf("%s = %v, %v", want.Name, got, err)
			}
		case want.Bytes != nil && !bytes.Equal(raw, want.Bytes):
			t.Errorf("%s = %v", want.Name, raw)
		}
	}
}

// TestLarge crosses several chunks.
func TestLarge(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	x := make([]float32, 100_003)
	for i := range x {
		x[i] = r.Float32() - 0.5
	}
	for _, d := range []DType{F32, F64} {
		var b bytes.Buffer
		if err := Write(&b, []Tensor{{Name: "x", DType: d, Shape: []int{len(x)}, Float32: x}}, nil); err != nil {
			t.Fatal(err)
		}
		f := newFile()
		if err := f.addShard(&shard{name: "r", r: bytes.NewReader(b.Bytes())}, int64(b.Len())); err != nil {
			t.Fatal(err)
		}
		got := make([]float32, len(x))
		if err := f.Float32("x", got); err != nil || !slices.Equal(got, x) {
			t.Errorf("%s: %v", d, err)
		}
	}
}

func TestHalfConversions(t *testing.T) {
	// All 65536 halves survive; this also covers NaN, infinities and subnormals.
	for i := range 1 << 16 {
		h := uint16(i)
		f := fromF16(h)
		back := toF16(f)
		if math.IsNaN(float64(f)) {
			if h&0x7c00 != 0x7c00 || h&0x3ff == 0 || back != h|0x200 {
				t.Fatalf("half %#04x is NaN and comes back as %#04x", h, back)
			}
		} else if back != h {
			t.Fatalf("half %#04x = %v comes back as %#04x", h, f, back)
		}
		b := math.Float32frombits(uint32(i) << 16)
		if back := toBF16(b); back != h && (!math.IsNaN(float64(b)) || back != h|0x40) {
			t.Fatalf("bfloat16 %#04x = %v comes back as %#04x", h, b, back)
		}
	}
	// Between two neighbours the nearer one wins, and a tie goes to the even one.
	for i := range 0x7bff {
		h := uint16(i)
		lo, hi := fromF16(h), fromF16(h+1)
		mid := (lo + hi) / 2
		even := h + h&1
		if got := toF16(mid); got != even {
			t.Fatalf("%v between halves %#04x and %#04x goes to %#04x", mid, h, h+1, got)
		}
		if toF16(math.Nextafter32(mid, 0)) != h || toF16(math.Nextafter32(mid, 1e9)) != h+1 {
			t.Fatalf("beside %v: not the nearest half", mid)
		}
	}
	for _, c := range []struct {
		f    float32
		half uint16
		bf   uint16
	}{
		{65519.996, 0x7bff, 0x4780}, {65520, 0x7c00, 0x4780}, {-1e30, 0xfc00, 0xf14a}, {math.MaxFloat32, 0x7c00, 0x7f80},
		{0x1p-25, 0, 0x3300}, {0x1.8p-25, 1, 0x3340}, {1 + 0x1p-8, 0x3c04, 0x3f80}, {1 + 0x3p-8, 0x3c0c, 0x3f82},
	} {
		if toF16(c.f) != c.half || toBF16(c.f) != c.bf {
			t.Errorf("%v: half %#04x, bfloat16 %#04x, want %#04x, %#04x", c.f, toF16(c.f), toBF16(c.f), c.half, c.bf)
		}
	}
}

// wantErr checks an error's whole text.
func wantErr(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestReadErrors(t *testing.T) {
	f, err := NewReader(must(t, []Tensor{
		{Name: "x", DType: F32, Shape: []int{2}, Float32: []float32{1, 2}},
		{Name: "n", DType: I32, Shape: []int{2}, Int64: []int64{1, 2}},
		{Name: "b", DType: Bool, Shape: []int{2}, Bytes: []byte{1, 2}},
		{Name: "u", DType: U64, Shape: []int{1}, Bytes: bytes.Repeat([]byte{255}, 8)},
	}))
	if err != nil {
		t.Fatal(err)
	}
	wantErr(t, f.Float32("y", nil), `checkpoint: data: no tensor "y"`)
	wantErr(t, f.Float32("x", make([]float32, 3)), `checkpoint: data: tensor "x": it has 2 elements of shape [2], dst has 3`)
	wantErr(t, f.Float32("n", make([]float32, 2)), `checkpoint: data: tensor "n": its dtype is I32, want F64, F32, F16 or BF16`)
	wantErr(t, f.Int64("x", make([]int64, 2)), `checkpoint: data: tensor "x": its dtype is F32, want an integer or BOOL`)
	wantErr(t, f.Int64("b", make([]int64, 2)), `checkpoint: data: tensor "b": value 1 is 2, want 0 or 1 in a BOOL`)
	wantErr(t, f.Int64("u", make([]int64, 1)), `checkpoint: data: tensor "u": value 0 is 18446744073709551615, above the range of int64`)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = f.Bytes("x")
	wantErr(t, err, `checkpoint: data: tensor "x": the file is closed`)
	if err := f.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestCheckFinite(t *testing.T) {
	for _, d := range []DType{F32, F16, BF16, F64} {
		for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			x := make([]float32, 3*9000) // several chunks
			x[2*9000+5] = float32(bad)
			f, err := NewReader(must(t, []Tensor{
				{Name: "a", DType: d, Shape: []int{1}, Float32: []float32{1}},
				{Name: "n", DType: I32, Shape: []int{1}, Int64: []int64{-1}},
				{Name: "x", DType: d, Shape: []int{3, 9000}, Float32: x},
			}))
			if err != nil {
				t.Fatal(err)
			}
			wantErr(t, f.CheckFinite(), fmt.Sprintf(`checkpoint: data: tensor "x": value at index [2 5] is %v, want finite values`, bad))
			if err := f.CheckFinite("a", "n"); err != nil {
				t.Error(err)
			}
			got := make([]float32, len(x))
			if err := f.Float32("x", got); err != nil || math.Float32bits(got[2*9000+5])>>16 != math.Float32bits(float32(bad))>>16 {
				t.Errorf("%s: %v is read as %v, %v", d, bad, got[2*9000+5], err)
			}
		}
	}
}

func must(t testing.TB, tensors []Tensor) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, tensors, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWriteErrors(t *testing.T) {
	x := Tensor{Name: "x", DType: F32, Shape: []int{1}, Float32: []float32{1}}
	with := func(change func(t *Tensor)) []Tensor {
		y := x
		change(&y)
		return []Tensor{y}
	}
	for _, c := range []struct {
		tensors []Tensor
		want    string
	}{
		{[]Tensor{x, x}, `checkpoint: tensor "x": there are two of that name`},
		{with(func(t *Tensor) { t.Name = "__metadata__" }), `checkpoint: tensor "__metadata__": the name is reserved or not valid UTF-8`},
		{with(func(t *Tensor) { t.Name = "\xff" }), `checkpoint: tensor "\xff": the name is reserved or not valid UTF-8`},
		{with(func(t *Tensor) { t.DType = 0 }), `checkpoint: tensor "x": unknown dtype checkpoint.DType(0)`},
		{with(func(t *Tensor) { t.DType = 99 }), `checkpoint: tensor "x": unknown dtype checkpoint.DType(99)`},
		{with(func(t *Tensor) { t.Shape = []int{-1} }), `checkpoint: tensor "x": shape [-1] of F32 has a negative length or more than 2^63 bytes`},
		{with(func(t *Tensor) { t.Shape = []int{2} }), `checkpoint: tensor "x": shape [2] needs 2 values, Float32 has 1`},
		{with(func(t *Tensor) { t.Float32 = nil }), `checkpoint: tensor "x": 0 of Float32, Int64 and Bytes are set, want one`},
		{with(func(t *Tensor) { t.Bytes = make([]byte, 4) }), `checkpoint: tensor "x": 2 of Float32, Int64 and Bytes are set, want one`},
		{with(func(t *Tensor) { t.Float32, t.Bytes = nil, make([]byte, 3) }), `checkpoint: tensor "x": shape [1] of F32 needs 4 bytes, Bytes has 3`},
		{with(func(t *Tensor) { t.DType = I8 }), `checkpoint: tensor "x": dtype I8 cannot be written from Float32, want F64, F32, F16 or BF16`},
		{with(func(t *Tensor) { t.Float32, t.Int64 = nil, []int64{1} }), `checkpoint: tensor "x": dtype F32 cannot be written from Int64, want an integer or BOOL`},
		{with(func(t *Tensor) { t.DType, t.Float32, t.Int64 = I8, nil, []int64{128} }), `checkpoint: tensor "x": value 0 is 128, outside I8's range [-128, 127]`},
		{with(func(t *Tensor) { t.DType, t.Float32, t.Int64 = U8, nil, []int64{1, 2} }), `checkpoint: tensor "x": shape [1] needs 1 values, Int64 has 2`},
	} {
		var b bytes.Buffer
		wantErr(t, Write(&b, c.tensors, nil), c.want)
		if b.Len() > 0 {
			t.Errorf("%s: %d bytes were written", c.want, b.Len())
		}
	}
	wantErr(t, Write(&bytes.Buffer{}, nil, map[string]string{"k": "\xff"}), `checkpoint: metadata "k" is not valid UTF-8`)
	wantErr(t, Write(failing{}, []Tensor{x}, nil), `checkpoint: writing: disk full`)
	big := Tensor{Name: "big", DType: F32, Shape: []int{50_000}, Float32: make([]float32, 50_000)}
	wantErr(t, Write(failing{}, []Tensor{big}, nil), `checkpoint: writing tensor "big": disk full`)
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("disk full") }

// TestFailedWrite: after an error the old file is whole and nothing else is left.
func TestFailedWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.safetensors")
	old := []Tensor{{Name: "x", DType: U8, Shape: []int{1}, Bytes: []byte{1}}}
	if err := WriteFile(path, old, nil); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(path, []Tensor{{Name: "x"}}, nil); err == nil {
		t.Fatal("accepted")
	}
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != 1 {
		t.Errorf("left behind: %v, %v", list, err)
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, must(t, old)) {
		t.Errorf("the old file has changed: %q, %v", got, err)
	}
	if err := WriteFile(filepath.Join(dir, "no", "such"), old, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing directory: %v", err)
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	_, err := Open(dir)
	wantErr(t, err, "checkpoint: "+dir+": not a regular file")
	_, err = OpenDir(dir)
	wantErr(t, err, "checkpoint: "+dir+" has neither model.safetensors nor model.safetensors.index.json: file does not exist")
}

func TestOpenDir(t *testing.T) {
	u8 := func(name string, v byte) Tensor {
		return Tensor{Name: name, DType: U8, Shape: []int{1}, Bytes: []byte{v}}
	}
	shards := map[string][]byte{
		"b.safetensors": must(t, []Tensor{u8("x", 1), u8("y", 2)}),
		"a.safetensors": must(t, []Tensor{u8("z", 3)}),
		"c.safetensors": must(t, []Tensor{u8("x", 4)}),
	}
	fill := func(t *testing.T, files map[string][]byte) string {
		dir := t.TempDir()
		for name, b := range files {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	index := func(text string) map[string][]byte {
		m := map[string][]byte{IndexName: []byte(text)}
		for k, v := range shards {
			m[k] = v
		}
		return m
	}

	t.Run("single", func(t *testing.T) {
		f, err := OpenDir(fill(t, map[string][]byte{ModelName: shards["b.safetensors"]}))
		if err != nil || !slices.Equal(f.Names(), []string{"x", "y"}) {
			t.Fatal(f, err)
		}
		f.Close()
	})
	t.Run("sharded", func(t *testing.T) {
		dir := fill(t, index(`{"metadata":{"total_size":3,"more":[{}]},"weight_map":{"x":"b.safetensors","z":"a.safetensors","y":"b.safetensors"}}`))
		f, err := OpenDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if !slices.Equal(f.Names(), []string{"z", "x", "y"}) {
			t.Errorf("names %q", f.Names())
		}
		for name, want := range map[string]byte{"x": 1, "y": 2, "z": 3} {
			if b, err := f.Bytes(name); err != nil || len(b) != 1 || b[0] != want {
				t.Errorf("%s = %v, %v", name, b, err)
			}
		}
		_, err = f.Bytes("q")
		wantErr(t, err, "checkpoint: "+dir+`: no tensor "q"`)
	})
	const beside = ", want the name of a file beside the index"
	for _, c := range []struct{ name, index, want string }{
		{"empty map", `{"weight_map":{}}`, `: the index names no tensors, want a weight_map`},
		{"not JSON", `hello`, `: JSON, before byte 0: invalid character 'h' looking for beginning of value`},
		{"a list", `[]`, `: JSON, before byte 1: the index starts with [, want {`},
		{"number", `{"weight_map":{"x":1}}`, `: JSON, before byte 20: weight_map["x"] is 1, want a string`},
		{"twice", `{"weight_map":{"x":"b.safetensors","x":"c.safetensors"}}`, `: JSON, before byte 38: weight_map has the key "x" twice`},
		{"parent", `{"weight_map":{"x":"../b.safetensors"}}`, `: JSON, before byte 37: weight_map["x"] is "../b.safetensors"` + beside},
		{"absolute", `{"weight_map":{"x":"/etc/passwd"}}`, `: JSON, before byte 32: weight_map["x"] is "/etc/passwd"` + beside},
		{"backslash", `{"weight_map":{"x":"..\\b"}}`, `: JSON, before byte 26: weight_map["x"] is "..\\b"` + beside},
		{"folder", `{"weight_map":{"x":"."}}`, `: JSON, before byte 22: weight_map["x"] is "."` + beside},
		{"no name", `{"weight_map":{"x":""}}`, `: JSON, before byte 21: weight_map["x"] is ""` + beside},
		{"missing tensor", `{"weight_map":{"q":"b.safetensors"}}`, `: tensor "q" is not in b.safetensors`},
		{"wrong shard", `{"weight_map":{"x":"a.safetensors","y":"b.safetensors"}}`, `: tensor "x" is not in a.safetensors`},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := fill(t, index(c.index))
			_, err := OpenDir(dir)
			wantErr(t, err, "checkpoint: "+filepath.Join(dir, IndexName)+c.want)
		})
	}
	t.Run("one tensor in two shards", func(t *testing.T) {
		dir := fill(t, index(`{"weight_map":{"x":"b.safetensors","w":"c.safetensors"}}`))
		_, err := OpenDir(dir)
		wantErr(t, err, fmt.Sprintf("checkpoint: %s: tensor \"x\" is in %s too", filepath.Join(dir, "c.safetensors"), filepath.Join(dir, "b.safetensors")))
	})
	t.Run("missing shard", func(t *testing.T) {
		_, err := OpenDir(fill(t, index(`{"weight_map":{"x":"n.safetensors"}}`)))
		if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "n.safetensors") {
			t.Error(err)
		}
	})
}

func FuzzReader(f *testing.F) {
	tensors, meta := sample()
	var b bytes.Buffer
	if err := Write(&b, tensors, meta); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	for _, c := range badFiles {
		f.Add(c.data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := NewReader(data)
		if err != nil {
			return
		}
		var again []Tensor
		for _, name := range file.Names() {
			info, _ := file.Info(name)
			b, err := file.Bytes(name)
			if err != nil {
				t.Fatal(err)
			}
			if info.DType.isFloat() {
				if err := file.Float32(name, make([]float32, info.Len())); err != nil {
					t.Fatal(err)
				}
			}
			if info.DType.isInt() {
				_ = file.Int64(name, make([]int64, info.Len())) // BOOL and U64 may be out of range
			}
			again = append(again, Tensor{Name: name, DType: info.DType, Shape: info.Shape, Bytes: b})
		}
		_ = file.CheckFinite()
		// What can be read can be written, and reads the same.
		var out bytes.Buffer
		if err := Write(&out, again, file.Metadata()); err != nil {
			t.Fatal(err)
		}
		back, err := NewReader(out.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(back.Metadata(), file.Metadata()) || len(back.Names()) != len(again) {
			t.Fatalf("%q became %q", data, out.Bytes())
		}
		for _, want := range again {
			b, err := back.Bytes(want.Name)
			info, _ := back.Info(want.Name)
			if err != nil || !bytes.Equal(b, want.Bytes) || info.DType != want.DType || !slices.Equal(info.Shape, want.Shape) {
				t.Fatalf("%+v became %+v", want, info)
			}
		}
	})
}
