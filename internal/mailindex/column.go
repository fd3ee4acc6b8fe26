package mailindex

import (
	"iter"
	"slices"
)

// columnBlock is how many rows are held together: a mailbox is read here and there, and a block costs whether one of its rows was or all.
const columnBlock = 64

// column is a value of some of the rows, as those that were read have an exact size; 0 is none. It takes little where few rows have one.
type column struct{ blocks []*[columnBlock]uint32 }

// at is a row's value.
func (c *column) at(row uint32) uint32 {
	if i := int(row / columnBlock); i < len(c.blocks) && c.blocks[i] != nil {
		return c.blocks[i][row%columnBlock]
	}
	return 0
}

func (c *column) set(row, value uint32) {
	i := int(row / columnBlock)
	if i >= len(c.blocks) {
		c.blocks = append(slices.Grow(c.blocks, i+1-len(c.blocks)), make([]*[columnBlock]uint32, i+1-len(c.blocks))...)
	}
	if c.blocks[i] == nil {
		if value == 0 {
			return
		}
		c.blocks[i] = new([columnBlock]uint32)
	}
	c.blocks[i][row%columnBlock] = value
}

// all is the rows that have a value, ascending.
func (c *column) all() iter.Seq2[uint32, uint32] {
	return func(yield func(uint32, uint32) bool) {
		for row, value := range c.within(0, len(c.blocks)*columnBlock) {
			if !yield(uint32(row), value) {
				return
			}
		}
	}
}

// within is those of [from, to).
func (c *column) within(from, to int) iter.Seq2[int, uint32] {
	return func(yield func(int, uint32) bool) {
		for row := from; row < min(to, len(c.blocks)*columnBlock); row++ {
			block := c.blocks[row/columnBlock]
			if block == nil {
				row |= columnBlock - 1 // to the last of the block
				continue
			}
			if value := block[row%columnBlock]; value != 0 && !yield(row, value) {
				return
			}
		}
	}
}
