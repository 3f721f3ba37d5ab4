-- What every script of wrk begins with: a number for each thread, and the result as one line of JSON.

local threads = 0

-- wrk calls it once for each thread, before the thread's init().
function setup(thread)
    threads = threads + 1
    thread:set("number", threads)
end

-- Times are in microseconds. `status` counts answers from 400 on; a 304 where none is due is found before.
function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '\nRESULT {"requests": %d, "seconds": %f, "p50": %d, "p99": %d, "status": %d, "socket": %d}\n',
        summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
        errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
