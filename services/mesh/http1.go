package mesh

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/smaran-v2/smaran/services/mesh/upstream"
)

// tryHTTP1 returns an error only while nothing was answered.
func (x *exchange) tryHTTP1(p *pod) error {
	ctx := x.r.Context()
	conn, err := p.Conn(ctx, x.deadline())
	if err != nil {
		return err
	}
	reusable := false
	stop := context.AfterFunc(ctx, conn.Abort)
	defer func() { conn.Release(stop() && reusable) }()

	x.writeHead(conn)
	var sent <-chan error // nil where the request went out in one piece
	if x.completed.Load() > 0 {
		if len(x.small) > 0 {
			_, _ = conn.Writer.Write(x.small) // sticks until Flush
		}
		// A pod that answers before it reads, and closes, makes this fail; the answer counts.
		_ = conn.Writer.Flush()
	} else {
		sent = x.stream(conn)
	}
	res, err := conn.ReadResponse(x.r)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		x.settle(sent, conn)
		return errClientGone
	default:
		if clientErr := x.settle(sent, conn); errors.Is(clientErr, errClientGone) {
			return clientErr
		}
		return err
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		return x.tunnel(conn, res)
	}
	x.head(res)
	x.copyBody(ctx, res, conn)
	reusable = !res.Close
	if sent != nil {
		reusable = x.conclude(sent, conn) && reusable
	}
	return nil
}

// conclude ends the sending of a request whose response is over, and returns whether it was sent whole.
func (x *exchange) conclude(sent <-chan error, conn *upstream.Conn) bool {
	if x.completed.Load() > 0 {
		// The client's part is over, and the sender about to end, unless the pod does not take the rest.
		timer := time.NewTimer(concludeTime)
		defer timer.Stop()
		select {
		case err := <-sent:
			return err == nil
		case <-timer.C:
		}
	}
	// Let the client have the answer before it is told to stop.
	_ = x.control.Flush() // a client that is gone needs none
	x.settle(sent, conn)
	return false
}

// concludeTime is how long a pod that has answered may take to read the rest of a request.
const concludeTime = 100 * time.Millisecond

// writeHead writes the request's head into the connection's buffer.
func (x *exchange) writeHead(conn *upstream.Conn) {
	r, w := x.r, conn.Writer
	put := func(name, value string) {
		_, _ = w.WriteString(name)
		_, _ = w.WriteString(": ")
		_, _ = w.WriteString(value)
		_, _ = w.WriteString("\r\n") // the first error sticks until Flush
	}
	target := r.RequestURI
	if !strings.HasPrefix(target, "/") {
		target = r.URL.RequestURI() // a proxy's absolute form
	}
	_, _ = w.WriteString(r.Method)
	_ = w.WriteByte(' ')
	_, _ = w.WriteString(target)
	_, _ = w.WriteString(" HTTP/1.1\r\n")
	put("Host", r.Host)
	o := omit(r.Header, x.fields)
	for name, values := range r.Header {
		if o.drops(name) {
			continue
		}
		for _, value := range values {
			put(name, value)
		}
	}
	for i := range x.fields {
		put(x.fields[i].name, x.fields[i].value)
	}
	switch {
	case x.upgrade != "":
		put("Connection", "Upgrade")
		put("Upgrade", x.upgrade)
	case acceptsTrailers(r.Header):
		put("Te", "trailers")
	}
	switch {
	case r.ContentLength > 0:
		put("Content-Length", strconv.FormatInt(r.ContentLength, 10))
	case r.ContentLength < 0:
		put("Transfer-Encoding", "chunked")
	case r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch:
		put("Content-Length", "0")
	}
	_, _ = w.WriteString("\r\n")
}

// stream sends the body while the response is being read. The channel gets one result: nil, what the pod did, or
// errClientGone.
func (x *exchange) stream(conn *upstream.Conn) <-chan error {
	// Otherwise net/http would swallow the rest of the body at the response's first byte.
	_ = x.control.EnableFullDuplex() // every HTTP/1 response can
	sent := make(chan error, 1)
	go func() {
		err := x.send(conn)
		if errors.Is(err, errClientGone) {
			conn.Abort()
		}
		sent <- err
	}()
	return sent
}

func (x *exchange) send(conn *upstream.Conn) error {
	if err := conn.Writer.Flush(); err != nil {
		return err
	}
	var chunks io.WriteCloser
	var out io.Writer = conn.Writer
	if x.r.ContentLength < 0 {
		chunks = httputil.NewChunkedWriter(conn.Writer)
		out = chunks
	}
	buf := bodies.Get().(*[copySize]byte)
	defer bodies.Put(buf)
	for {
		n, err := x.r.Body.Read(buf[:])
		if err == io.EOF {
			// Before the last bytes leave, as the pod may answer at once.
			x.complete()
			conn.SetDeadline(x.deadline())
		}
		if n > 0 {
			if _, err := out.Write(buf[:n]); err != nil {
				return err
			}
			if err := conn.Writer.Flush(); err != nil {
				return err
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return errors.Join(errClientGone, err)
		}
	}
	if chunks != nil {
		if err := chunks.Close(); err != nil {
			return err
		}
		// No trailers, as in Envoy.
		if _, err := conn.Writer.WriteString("\r\n"); err != nil {
			return err
		}
		if err := conn.Writer.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// settle waits for the sender to end, which a client that keeps sending would not let it.
func (x *exchange) settle(sent <-chan error, conn *upstream.Conn) error {
	if sent == nil {
		return nil
	}
	select {
	case err := <-sent:
		return err
	default:
	}
	conn.Abort()
	if x.completed.Load() == 0 {
		_ = x.control.SetReadDeadline(time.Now()) // a client that is gone has none
	}
	return ignoreDeadline(<-sent)
}

// ignoreDeadline keeps the deadline that settle itself set from counting as the client's fault.
func ignoreDeadline(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}

// copyBody passes on what is there as soon as it is there, and cuts the exchange where it does not come to its end.
//
// What was read is flushed unless more can be had at once, or nothing is to come and the server flushes anyhow. conn knows
// how much can be had at once; it is nil for HTTP/2, where nobody does, and there a head with a known length waits for the
// first of its body.
func (x *exchange) copyBody(ctx context.Context, res *http.Response, conn *upstream.Conn) {
	announced := announce(x.w.Header(), res.Trailer)
	x.w.WriteHeader(res.StatusCode)
	missing := res.ContentLength
	if conn != nil && missing != 0 && conn.Buffered() == 0 || conn == nil && missing < 0 {
		_ = x.control.Flush() // the first write finds out about a client that is gone
	}
	buf := bodies.Get().(*[copySize]byte)
	defer bodies.Put(buf)
	for {
		n, err := res.Body.Read(buf[:])
		if n > 0 {
			missing -= int64(n)
			if _, err := x.w.Write(buf[:n]); err != nil {
				x.cut("DC", err)
			}
		}
		switch {
		case err == io.EOF:
			passTrailers(x.w.Header(), res.Trailer, announced)
			return
		case err != nil:
			x.cut(cutFlag(ctx, err), err)
		case missing != 0 && (conn == nil || conn.Buffered() == 0):
			_ = x.control.Flush() // as above
		}
	}
}

// cutFlag says why the body of a response broke off.
func cutFlag(ctx context.Context, err error) string {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(context.Cause(ctx), upstream.ErrTimeout):
		return "UT"
	case ctx.Err() != nil:
		return "DC"
	default:
		return "UC"
	}
}

// announce names the trailers that the pod named, and returns how many.
func announce(h, trailer http.Header) int {
	for name := range trailer {
		h["Trailer"] = append(h["Trailer"], name)
	}
	return len(trailer)
}

// passTrailers sends what came at the end. Trailers that were not announced need net/http's prefix.
func passTrailers(h, trailer http.Header, announced int) {
	prefix := http.TrailerPrefix
	if len(trailer) == announced {
		prefix = ""
	}
	for name, values := range trailer {
		h[prefix+name] = values
	}
}
