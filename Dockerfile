# docker build --tag mnist . && docker run --rm mnist
FROM python:3.11-slim-bookworm AS tools
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/*

FROM tools
WORKDIR /mnist
# the libraries first: who edits code need not install them again
COPY requirements.txt Makefile ./
RUN make install
COPY . .
ENV PATH=/mnist/.venv/bin:$PATH
CMD ["make"]
