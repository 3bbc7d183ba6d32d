package house

import (
	"runtime"

	"go.uber.org/zap"

	"gatehouse/backend/loop"
)

// StartLoops starts one loop for each processor. stop ends them.
func StartLoops(log *zap.Logger) (loops []*loop.Loop, stop func(), err error) {
	stop = func() {
		for _, l := range loops {
			l.Stop()
		}
	}
	for i := range runtime.GOMAXPROCS(0) {
		l, err := loop.New(i)
		if err != nil {
			stop()
			return nil, nil, err
		}
		l.OnPanic = func(v any, stack []byte) {
			log.Error("panic: one exchange was lost", zap.Any("panic", v), zap.ByteString("stack", stack))
		}
		loops = append(loops, l)
	}
	return loops, stop, nil
}
