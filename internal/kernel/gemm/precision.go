package gemm

import "fmt"

// A Precision says how exactly products of many rows are computed where the
// processor has tiles of bfloat16: each number is taken as a sum of so many of them.
// Elsewhere, and for thin products, all are Highest. Sums are float32 in each.
// Errors are those of an element relative to the sum of the sizes of its products, measured by TestPrecisions.
type Precision uint8

const (
	Highest Precision = iota // three terms, all 24 bits of a float32: 7e-8, where float32 arithmetic has 3.5e-7
	High                     // two terms, 16 bits: 1e-6
	Medium                   // rounded to bfloat16: 8e-4
)

func (p Precision) String() string {
	if p <= Medium {
		return [...]string{"highest", "high", "medium"}[p]
	}
	return fmt.Sprintf("Precision(%d)", uint8(p))
}
