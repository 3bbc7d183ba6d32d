// Package loop runs plain, blocking-style connection code on epoll event loops.
//
//	l, err := loop.New(0)
//	_, err = l.Listen(addr, func(s loop.Socket) { // runs on l
//		c, err := l.Adopt(s)
//		if err == nil {
//			l.Go(loop.Func(func() { echo(c) })) // echo reads and writes as if it blocked
//		}
//	})
//
// A Loop is one epoll instance and one goroutine. A [Task] runs on it as a coroutine: of the loop and all its tasks exactly one runs
// at any time, each until it parks in a method of this package. What a loop owns therefore needs no lock. An idle connection holds
// neither a coroutine nor a buffer: its task ends after [Conn.Await], which starts it anew when there is something to read.
//
// Rules for code in a task:
//
//  1. Wait only through this package. A channel, WaitGroup, Cond, time.Sleep, net.Dial, slow file I/O or cgo stalls every connection of the
//     loop, and waiting for something that needs this loop never ends. Block runs such code elsewhere.
//  2. Mutexes guard short sections and are never held over a call that may park.
//  3. crypto/tls holds its mutexes over its transport's Read and Write. So a connection under TLS has one reader
//     task, is set to buffered (Write never parks, Drain parks afterwards), and is greeted with Handshake, not
//     with a cancellable HandshakeContext.
//  4. Callbacks from crypto/tls look up memory and do nothing slow.
//  5. Scratch memory of a loop is dead after any call that may park.
//  6. A Conn or Event belongs to one loop. Others only Post to it.
//  7. A task never calls runtime.Goexit, which would end the loop, or LockOSThread. A panic ends the task, is counted and reported, and
//     spares the process. Stop unwinds waiting tasks by a panic, too: a task that recovers asks [Stopped].
//  8. Work of more than a millisecond goes through Block, or calls Yield in between.
//  9. Race builds check at every park that the caller is the running task of that loop.
package loop
