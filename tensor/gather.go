package tensor

import (
	"fmt"
	"slices"

	"github.com/subquad/subquad/internal/kernel/vec"
)

// Gather takes rows of a table [rows, channels]: the result is [lead…,
// channels], with row ids[i] at position i. The product of lead is len(ids).
// The table decides the scope; see Enter for a table that is a weight.
func Gather(table *Tensor, ids []int, lead ...int) *Tensor {
	return GatherIn(table.scope, table, ids, lead...)
}

// GatherIn is Gather with the result in scope s, where a table that is a
// weight enters. It copies only the rows that it takes.
func GatherIn(s *Scope, table *Tensor, ids []int, lead ...int) *Tensor {
	const op = "Gather"
	Check(op, "table", table, -1, -1)
	V, C := table.shape[0], table.shape[1]
	n := 1
	for _, d := range lead {
		n *= d
	}
	if n != len(ids) {
		panic(&ShapeError{Op: op, Arg: "lead", Got: slices.Clone(lead), Want: fmt.Sprintf("axes for %d ids", len(ids))})
	}
	var shape [MaxRank]int
	rank := copy(shape[:MaxRank-1], lead)
	shape[rank] = C
	y := s.make(op, shape[:rank+1])
	y.needs = s.Recording() && table.NeedsGrad()
	for i, id := range ids {
		if id < 0 || id >= V {
			panic(&ShapeError{Op: op, Arg: fmt.Sprintf("ids[%d]", i), Got: []int{id}, Want: fmt.Sprintf("0 to %d", V-1)})
		}
		o := id * table.stride[0]
		switch {
		case y.dtype == F64:
			for c := range C {
				y.f64[i*C+c] = table.elem(o + c)
			}
		default:
			table.widen(o, y.data[i*C:(i+1)*C])
		}
	}
	if y.Recording() {
		rows := slices.Clone(ids)
		OnBackward(func() {
			dy, dt := y.Grad().Data(), table.Grad()
			for i, id := range rows {
				d := dt.data[id*dt.stride[0]:][:C]
				vec.Add(d, d, dy[i*C:])
			}
		}, y)
	}
	return y
}
