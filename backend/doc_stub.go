package backend

// Balance is being written.
type Balance struct {
	Algorithm string
	Header    string
}
