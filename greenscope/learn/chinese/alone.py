"""Lessons 1 to 5, in Simplified Chinese."""

from __future__ import annotations

__all__ = ["ALONE"]

ALONE: dict[str, str] = {
    # 1
    "sleep.title": "一个协程，一次 sleep",
    "sleep.summary": "`sleep` 并不会让整个程序停下来：它启动一个定时器，然后切换到 hub，真正在等的是 hub。",
    "sleep.begins": (
        "看上去，`sleep(0.2)` 让程序停了五分之一秒。现在运行的是 `main`，也就是你的程序本身，它和别的协程没有两样。"
        "请留意：真正在等待的，到底是哪一步？"
    ),
    "sleep.armed": (
        "`main` 在 {at} 调用了 `sleep`，但什么也没有停下：它只是启动了一个 {ms} 后到期的定时器。从现在起，"
        "这个定时器出现在已启动的监视器当中，属于 `main`。"
    ),
    "sleep.parked": "接着 `main` 挂起：它停在 {at}，切换到 hub。切换只是同一个线程内部的一次跳转，内核对此一无所知。",
    "sleep.blocks": (
        "hub 想找一个就绪的协程，但一个也没有。于是它去问内核有没有新的事件，并让自己阻塞，直到最近的定时器到期。"
        "真正在等待的就是这一步，而且不占用 CPU。"
    ),
    "sleep.fired": "{waited} 之后定时器到期了，hub 查出它属于谁：`{who}`。",
    "sleep.ready": "于是 `main` 就绪。就绪不等于运行：它先排进就绪队列，等 hub 把内核给出的事件都处理完。",
    "sleep.runs": (
        "现在 hub 从就绪队列取出第一个协程，切换过去。`main` 在 `sleep` 内部、从 {at} 继续执行，就像从未离开过。"
    ),
    "sleep.remember": (
        "记住：一个正在等待的协程，不过是一个以后继续执行的位置，加上一个监视器或定时器。等待的是 hub，"
        "由它替所有协程一起等；在此期间，只要有别的协程就绪，它就会去运行它们。"
    ),
    "sleep.blocked?": "因为没有协程就绪，hub 在内核里阻塞了几次？",
    "sleep.blocked.right": "正确：{answer} 次。只有当没有协程就绪时，hub 才会阻塞。",
    "sleep.blocked.hint": "逐步查看 hub 的各个步骤，数一数它有几次询问内核并阻塞。",
    "sleep.where?": "定时器计时期间，程序的线程在哪里？",
    "sleep.where.inside": "在 `sleep` 里面，一遍又一遍地看时间",
    "sleep.where.hub": "在 hub 里，它阻塞在内核中，直到定时器到期",
    "sleep.where.thread": "它继续往下运行，由另一个线程计时",
    "sleep.where.right": "正确：在内核里等待的是 hub，`main` 只是留下了一句话：到时候叫醒我。",
    "sleep.where.hint": "看看从 `main` 挂起到它就绪之间，hub 做了什么。",
    "sleep.ready?": "找到让 `main` 在第一次 sleep 之后就绪的那一步。",
    "sleep.ready.right": "正确：是定时器让它就绪的。又过了 {gap}，hub 切换过来，它才真正运行。",
    "sleep.ready.hint": "就绪还不是运行：找到 `main` 出现在就绪队列里的那一步。",
    # 2
    "recv.title": "对空的套接字调用 recv",
    "recv.summary": "从调用 `recv` 到数据到达之间发生了什么：EWOULDBLOCK，启动监视器，切换到 hub，再切换回来。",
    "recv.asked": (
        "`recv` 做什么？多数人会说：等数据。`reader` 在 {at} 调用了它，而它做的第一件事并不是等，"
        "而是问内核现在有没有数据；这个套接字从不阻塞。"
    ),
    "recv.armed": (
        "还没有数据，内核立刻返回 EWOULDBLOCK。于是 `reader` 启动 fd {fd} 上的读监视器，意思是：可读的时候告诉我。"
    ),
    "recv.parked": (
        "直到这时它才挂起，切换到 hub。它并没有离开 `recv`：它停在 `recv` 中间，位置是 {at}，所有变量都还在。"
    ),
    "recv.others": "hub 切换到早已就绪的 `writer`。`reader` 在等数据，并不妨碍别的协程运行。",
    "recv.blocks": (
        "再也没有协程就绪时，hub 才阻塞在内核里：一次系统调用，既等 fd {fd}，也等定时器。所有协程要等的东西，"
        "由一个线程一并等待。"
    ),
    "recv.sent": (
        "`writer` 发送了 {bytes} 个字节，但并没有因此唤醒任何协程：它根本不知道有 `reader`。"
        "这些字节现在在内核的缓冲区里。"
    ),
    "recv.fired": "hub 下一次询问内核时得知 fd {fd} 可读了。读监视器触发，它属于 `{who}`，后者因此就绪。",
    "recv.runs": "在 `reader` 挂起 {waited} 之后，hub 切换回它。它在 `recv` 内部（{at}）再问一次内核。",
    "recv.got": "这一次有数据了：{bytes} 个字节。直到现在 `recv` 才返回；对程序来说，它只是花了一点时间。",
    "recv.again": (
        "循环再次调用 `recv`，这次没有等待就完成了：另外 {bytes} 个字节早已到达。不需要监视器，也没有切换，"
        "hub 毫不知情。"
    ),
    "recv.remember": (
        "记住：先问内核；如果会阻塞，就启动监视器、挂起，等 hub 切换回来时再问一次。协程化的套接字，"
        "每个调用都是这样做的。"
    ),
    "recv.waits?": "`reader` 有几次不得不等待数据？",
    "recv.waits.right": "正确：{answer} 次。只有还没有数据时 `recv` 才会挂起；已经在内核里的数据，它直接取走。",
    "recv.waits.hint": "要数的是 `reader` 为了读而挂起的步骤，而不是它调用 `recv` 的次数。",
    "recv.woke?": "数据到达时，是谁让 `reader` 就绪的？",
    "recv.woke.writer": "`writer`，它发送时唤醒了 `reader`",
    "recv.woke.hub": "hub，它从内核得知 fd {fd} 可读了",
    "recv.woke.self": "`reader` 自己，它每隔几毫秒就再看一次",
    "recv.woke.right": "正确：一个协程发送的，与另一个协程等待的，在内核里相遇；而去问内核的只有 hub。",
    "recv.woke.hint": "看看 `reader` 就绪之前的那一步：触发的是谁的监视器？是谁得知的？",
    "recv.back?": "找到 `reader` 在那次等待过的 `recv` 内部继续执行的那一步。",
    "recv.back.right": "正确：hub 在这里切换回它，它随后第二次询问内核。",
    "recv.back.hint": "不是监视器触发的那一步，也不是让它就绪的那一步，而是之后的那次切换。",
    # 3
    "turns.title": "两个协程，一个 hub",
    "turns.summary": "谁在什么时候运行：一个协程能运行到什么时候，下一个又由谁决定？",
    "turns.spawned": (
        "很多人以为 `spawn` 会立刻运行这个函数。并不会：`ping` 已经存在，已经就绪，排在就绪队列里，而 `main` 继续运行。"
    ),
    "turns.parks": (
        "`main` 创建了两个协程，还打印了一行，它们却都还没有动过。直到 `main` 在 {at} 开始等待，才轮到 hub。"
    ),
    "turns.begins": (
        "hub 取出就绪队列中的第一个：`{who}`，此时它已经就绪了 {waited}。从现在起它想运行多久就运行多久：没有时间片，"
        "也没有谁会打断它。"
    ),
    "turns.yields": "它在 {at} 调用了 `sleep(0)`。这并不等待什么，只是让出：切换到 hub。",
    "turns.behind": "所以它马上又就绪了，不过要排到就绪队列的末尾，在所有先就绪的协程之后。",
    "turns.other": "现在轮到排在下一位的 `{who}`。hub 不偏心：先到先得。",
    "turns.again": (
        "`{other}` 也让出了，于是 `{who}` 第二次运行。它从 {at} 继续，仍在它的循环中间，变量都和离开时一样。"
    ),
    "turns.ends": "协程一旦返回，就结束了。它不再需要运行，hub 接着取下一个。",
    "turns.woken": "`main` 等待的协程里，`{by}` 最后一个结束，所以 `main` 就绪。",
    "turns.remember": (
        "记住：正在运行的协程会一直运行，直到它等待、让出或结束；然后 hub 取出就绪队列中的下一个。"
        "任何时刻都只有一个在运行，中途也不会被打断。"
    ),
    "turns.count?": "hub 切换到 `ping` 几次？",
    "turns.count.right": "正确：{answer} 次。开始运行一次，之后每让出一次就再加一次。",
    "turns.count.hint": "数一数 hub 切换到 `ping` 的步骤。第一次发生在它第一次 `sleep(0)` 之前。",
    "turns.first?": "`main` 挂起之后，hub 最先切换到谁？",
    "turns.first.right": "正确：`{who}` 就绪得最早，所以排在就绪队列的第一位。",
    "turns.first.hint": "看看 `main` 挂起时的就绪队列。",
    "turns.begin?": "找到 `pong` 开始运行的那一步。",
    "turns.begin.right": "正确：`pong` 在 {waited} 之前就被创建了，但直到这里才第一次运行。",
    "turns.begin.hint": "被创建不等于运行，就绪也不等于运行：找到第一次切换到 `pong` 的那一步。",
    # 4
    "send.title": "缓冲区满时调用 send",
    "send.summary": "`send` 把字节交给内核，而不是交给对方。内核没有空间时，它会怎么做？",
    "send.asked": "也许你会说：`send` 返回了，对方就收到了。`sender` 在 {at} 第一次调用它，而此时还没有协程在读。",
    "send.took": (
        "它立刻返回了：内核接收了 {bytes} 个字节。内核的缓冲区只放得下这么多，而要发送的不止这些。对方还没有收到，"
        "它们只是停在那里。"
    ),
    "send.full": (
        "循环再次调用 `send` 发送剩下的部分。缓冲区已满，内核返回 EWOULDBLOCK。"
        "于是 `sender` 启动 fd {fd} 上的写监视器：有空间的时候告诉我。"
    ),
    "send.parked": "它停在 {at}，挂起并切换到 hub。这和 `recv` 的等待一样，只是方向相反：等的不是数据，而是空间。",
    "send.reads": "`receiver` 从内核取走了 {bytes} 个字节。它并没有因此唤醒任何协程，但现在有空间了。",
    "send.fired": "在 `sender` 挂起 {waited} 之后，hub 从内核得知 fd {fd} 可写了，于是 `{who}` 可以继续了。",
    "send.rest": (
        "回到 `send` 之后，它再试一次，内核又接收了 {bytes} 个字节。`sendall` 无非就是这样一个循环：发送，等空间，"
        "再发送剩下的。"
    ),
    "send.remember": (
        "记住：`send` 填的是缓冲区。缓冲区一满，写的一方就只能和读的一方一样快，这就是背压(backpressure)。"
        "被拖慢的只是发送数据的这一个协程，与别的协程无关。"
    ),
    "send.bytes?": "第一次 `send` 时，内核接收了多少个字节？",
    "send.bytes.right": "正确：{answer} 个字节，空间只有这么多。所以一定要看 `send` 的返回值。",
    "send.bytes.hint": "找到第一次 `send` 完成的那一步，那一步的说明里就有。",
    "send.read?": "第一次 `send` 返回时，`receiver` 读了其中多少？",
    "send.read.none": "一个字节也没有",
    "send.read.part": "一部分",
    "send.read.all": "全部",
    "send.read.right": "正确。`send` 返回只说明字节已经在内核里，仅此而已。",
    "send.read.hint": "找到第一次 `recv` 完成的那一步，它在第一次 `send` 完成之前还是之后？",
    "send.park?": "找到 `sender` 因为缓冲区已满而切换到 hub 的那一步。",
    "send.park.right": "正确：从这里开始，它等空间等了 {waited}。",
    "send.park.hint": "前一步，它启动了写监视器。",
    # 5
    "timeout.title": "Timeout：会抛异常的定时器",
    "timeout.summary": "`Timeout` 不会打断任何协程。它是一个定时器，到期时由 hub 把异常抛给正在等待的协程。",
    "timeout.started": (
        "超时看上去像一只从外面伸进来的手，强行让 `recv` 停下。其实 {at} 只是留下了一条记录：{ms} 之后，找 `{who}`。"
    ),
    "timeout.parked": (
        "`client` 调用 `recv`，没有数据，于是挂起。现在它同时在等两件事：fd {fd} 可读，或者这 {ms} 用完。"
    ),
    "timeout.over": (
        "{ms} 用完了，数据还没有来。发现这一点的是 hub，而且只能在它询问内核的时候发现，那时没有协程在运行。"
    ),
    "timeout.ready": "于是 `client` 就绪。不过等着它的不是数据，而是一个异常。",
    "timeout.thrown": (
        "hub 切换到它，同时抛出异常：`Timeout` 在 `client` 里、在 {at} 抛出，正好在它停住的 `recv` 中间。从那里开始，"
        "它就和普通的异常一样了。"
    ),
    "timeout.second": "循环再试一次，这次记下的是：{ms} 之后。",
    "timeout.got": "这一次数据先到：`recv` 收到 {bytes} 个字节，没有异常抛出。",
    "timeout.cancelled": "`with` 结束时（{at}），超时被取消，离到期还有 {left}。以后不会再有什么东西突然触发。",
    "timeout.remember": (
        "记住：超时就是一个定时器加一次抛出，两者都要靠 hub。所以它能结束一次等待；而一个只顾计算、从不等待的协程，"
        "它管不着（见第 7 课）。"
    ),
    "timeout.raised?": "有几个超时在被取消之前就到期了？",
    "timeout.raised.right": "正确：启动了 {all} 个，其中到期的有 {answer} 个。",
    "timeout.raised.hint": "每个启动了的超时，要么被取消，要么到期并抛出异常。",
    "timeout.line?": "`Timeout` 是在 `client` 的哪一行抛出的？",
    "timeout.line.start": "{at}，启动超时的那一行",
    "timeout.line.wait": "{at}，`client` 正在等待的那一行",
    "timeout.line.main": "{at}，`main` 正在等待的那一行",
    "timeout.line.right": "正确：协程在哪里等待，异常就在哪里抛出，不管那是哪一行。那次调用不会再返回了。",
    "timeout.line.hint": "找到 hub 抛出异常的那一步，看看标记的是哪一行。",
    "timeout.throw?": "找到 hub 切换到 `client` 并抛出 `Timeout` 的那一步。",
    "timeout.throw.right": "正确：此时距 hub 发现超时到期已过了 {gap}。在此期间它和别的协程一样，只是就绪着。",
    "timeout.throw.hint": "到期是一步，就绪又是一步；要找的是那次切换。",
}
