"""Headless Chromium over its debugging pipe: no driver, no port, nothing beyond Python's own library."""
import base64
import json
import os
import shutil
import subprocess
import tempfile


def find():
    """The program, or None: CHROMIUM of the environment, else what distributions call it."""
    names = [os.environ.get('CHROMIUM', ''), 'chromium', 'chromium-browser', 'chromium-headless-shell',
             'google-chrome']
    return next((path for path in map(shutil.which, filter(None, names)) if path), None)


class Browser:
    """One page. Messages are JSON ended by a zero byte: written to descriptor 3 of Chromium, read from its 4."""

    def __init__(self, program):
        self.profile = tempfile.TemporaryDirectory()
        read_end, self.commands = os.pipe()
        self.answers, write_end = os.pipe()

        def connect():
            # High numbers first: a pipe's end may itself be 3 or 4.
            kept = [os.dup2(read_end, 40), os.dup2(write_end, 41)]
            os.dup2(kept[0], 3)
            os.dup2(kept[1], 4)

        self.process = subprocess.Popen(
            [program, '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--hide-scrollbars',
             '--remote-debugging-pipe', f'--user-data-dir={self.profile.name}', '--force-color-profile=srgb',
             '--host-resolver-rules=MAP * ~NOTFOUND'],
            preexec_fn=connect, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(read_end)
        os.close(write_end)
        self.waiting, self.number, self.session = b'', 0, None
        self.problems, self.requests, self.loaded = [], [], False
        target = self.ask('Target.createTarget', url='about:blank')['targetId']
        self.session = self.ask('Target.attachToTarget', targetId=target, flatten=True)['sessionId']
        for domain in ['Page', 'Runtime', 'Log', 'Network']:
            self.ask(domain + '.enable')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.commands)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.answers)
        self.profile.cleanup()

    def ask(self, method, **parameters):
        self.number += 1
        message = {'id': self.number, 'method': method, 'params': parameters}
        if self.session:
            message['sessionId'] = self.session
        data = json.dumps(message).encode() + b'\0'
        while data:
            data = data[os.write(self.commands, data):]
        while True:
            answer = self.next_message()
            if answer.get('id') == self.number:
                if 'error' in answer:
                    raise RuntimeError(f'{method}: {answer["error"]}')
                return answer['result']

    def next_message(self):
        while b'\0' not in self.waiting:
            piece = os.read(self.answers, 1 << 20)
            if not piece:
                raise RuntimeError('Chromium ended')
            self.waiting += piece
        line, _, self.waiting = self.waiting.partition(b'\0')
        message = json.loads(line)
        method, parameters = message.get('method'), message.get('params', {})
        if method == 'Runtime.exceptionThrown':
            self.problems.append(parameters['exceptionDetails'].get('text', 'an exception'))
        if method == 'Log.entryAdded' and parameters['entry']['level'] in ('error', 'warning'):
            self.problems.append(parameters['entry']['text'])
        if method == 'Runtime.consoleAPICalled':
            self.problems.append('console: ' + parameters['type'])
        if method == 'Network.requestWillBeSent':
            self.requests.append(parameters['request']['url'])
        self.loaded = self.loaded or method == 'Page.loadEventFired'
        return message

    def open(self, url, width, height, scheme, media='screen'):
        self.ask('Emulation.setDeviceMetricsOverride', width=width, height=height, deviceScaleFactor=1,
                 mobile=width < 600)
        self.ask('Emulation.setEmulatedMedia', media=media, features=[{'name': 'prefers-color-scheme', 'value': scheme}])
        self.problems, self.requests, self.loaded = [], [], False
        self.ask('Page.navigate', url=url)
        while not self.loaded:
            self.next_message()

    def value(self, expression):
        result = self.ask('Runtime.evaluate', expression=expression, returnByValue=True)
        if 'exceptionDetails' in result:
            raise RuntimeError(f'{expression}: {result["exceptionDetails"]}')
        return result['result'].get('value')

    def picture(self, file, whole=True):
        data = self.ask('Page.captureScreenshot', captureBeyondViewport=whole)['data']
        with open(file, 'wb') as out:
            out.write(base64.b64decode(data))

    def print_to(self, file):
        with open(file, 'wb') as out:
            out.write(base64.b64decode(self.ask('Page.printToPDF', printBackground=True)['data']))
