-- Requests for wrk: those of the file that BENCH_REQUESTS names, one after the other, again and again.
local requests, place = {}, 0
local file = assert(io.open(os.getenv("BENCH_REQUESTS"), "rb"))
for head in file:read("*a"):gmatch("(.-\r\n\r\n)") do
  requests[#requests + 1] = head
end
file:close()

function request()
  place = place % #requests + 1
  return requests[place]
end
