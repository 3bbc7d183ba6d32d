package cache

// Stored returns the content that Next is going to give, where all of it lies in memory, and nil otherwise. It never changes, and it is the same
// memory for as long as the cache keeps the answer: who makes something of it may remember what. Valid after Close.
func (a *ask) Stored() [][]byte {
	if a.fill != nil || len(a.segments) != 1 || a.segments[0].text != nil || a.segments[0].from != 0 || a.x.Resp.Status == 206 {
		return nil
	}
	return a.content
}
