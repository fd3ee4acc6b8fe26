package box

// idIndex finds a row by its message's id: a hash table of row numbers, open addressed. The ids themselves stay in their column.
type idIndex struct {
	slots []uint32 // row + 1, or 0
	used  int
}

// fit makes the table big enough for n ids at a load of at most three quarters, and enters those of the column.
func (x *idIndex) fit(n int, ids []uint64) {
	size := max(len(x.slots), 64)
	for size*3 < n*4 {
		size *= 2
	}
	if size == len(x.slots) {
		return
	}
	x.slots, x.used = make([]uint32, size), 0
	for r := range ids {
		x.enter(uint32(r), ids)
	}
}

// put enters a row whose id is in the column and not in the table.
func (x *idIndex) put(r uint32, ids []uint64) {
	if (x.used+1)*4 > len(x.slots)*3 {
		x.fit(2*(x.used+1), ids[:r])
	}
	x.enter(r, ids)
}

func (x *idIndex) enter(r uint32, ids []uint64) {
	i := x.home(ids[r])
	for x.slots[i] != 0 {
		i = (i + 1) & (len(x.slots) - 1)
	}
	x.slots[i] = r + 1
	x.used++
}

func (x *idIndex) find(id uint64, ids []uint64) (uint32, bool) {
	if len(x.slots) == 0 {
		return 0, false
	}
	for i := x.home(id); x.slots[i] != 0; i = (i + 1) & (len(x.slots) - 1) {
		if r := x.slots[i] - 1; ids[r] == id {
			return r, true
		}
	}
	return 0, false
}

// home is the slot where the search for an id begins.
func (x *idIndex) home(id uint64) int {
	return int(id * 0x9E3779B97F4A7C15 >> 32 & uint64(len(x.slots)-1))
}
