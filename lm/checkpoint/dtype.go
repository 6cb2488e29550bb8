package checkpoint

import (
	"fmt"
	"slices"
)

// A DType is the type of a tensor's elements.
type DType uint8

const (
	Bool DType = iota + 1 // one byte, 0 or 1
	U8
	I8
	F8E4M3 // readable as bytes only
	F8E5M2 // readable as bytes only
	I16
	U16
	F16
	BF16
	I32
	U32
	F32
	I64
	U64
	F64
)

var dtypes = [...]struct {
	name string
	size int
}{
	{"invalid", 0}, {"BOOL", 1}, {"U8", 1}, {"I8", 1}, {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"I16", 2}, {"U16", 2},
	{"F16", 2}, {"BF16", 2}, {"I32", 4}, {"U32", 4}, {"F32", 4}, {"I64", 8}, {"U64", 8}, {"F64", 8},
}

// String gives the name that the file uses, such as "BF16".
func (d DType) String() string {
	if d.valid() {
		return dtypes[d].name
	}
	return fmt.Sprintf("checkpoint.DType(%d)", uint8(d))
}

// Size is the number of bytes of one element.
func (d DType) Size() int {
	if d.valid() {
		return dtypes[d].size
	}
	return 0
}

func (d DType) valid() bool { return d > 0 && int(d) < len(dtypes) }

func (d DType) isFloat() bool {
	return d == F16 || d == BF16 || d == F32 || d == F64
}

func (d DType) isInt() bool {
	return slices.Contains([]DType{Bool, U8, I8, I16, U16, I32, U32, I64, U64}, d)
}

func parseDType(s string) (DType, bool) {
	for i, d := range dtypes {
		if i > 0 && d.name == s {
			return DType(i), true
		}
	}
	return 0, false
}

// Info describes one tensor of a file.
type Info struct {
	Name  string
	DType DType
	Shape []int // empty for a scalar
	Size  int64 // bytes of data

	begin int64 // offset into the data that follows the header
	shard int
}

// Len is the number of elements.
func (t Info) Len() int { return int(t.Size / int64(t.DType.Size())) }

// elements multiplies a shape; ok is false where the product leaves int64.
func elements(shape []int) (n int64, ok bool) {
	n = 1
	for _, d := range shape {
		if d < 0 || (d > 0 && n > (1<<63-1)/int64(d)) {
			return 0, false
		}
		n *= int64(d)
	}
	return n, true
}
