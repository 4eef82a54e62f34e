"""Lessons 6 to 10, in Simplified Chinese."""

from __future__ import annotations

__all__ = ["TOGETHER"]

TOGETHER: dict[str, str] = {
    # 6
    "close.title": "在另一个协程里 close",
    "close.summary": "一个协程在 `recv` 里等待，另一个协程关闭了这个套接字：等待的协程会被 EBADF 唤醒。",
    "close.parked": (
        "`reader` 在 {at} 等待 fd {fd}。如果这时有人关闭了这个套接字呢？换成阻塞在 `recv` 里的线程，它可能永远等下去，"
        "也可能下一次就读到别人的连接：新连接恰好得到了同一个编号。"
    ),
    "close.ready": (
        "`{by}` 在 {at} 关闭套接字。在关闭文件描述符之前，先要找出谁在等它：`reader` 就绪，而等着它的是一个异常。"
    ),
    "close.closed": "然后关闭监视器，最后才是文件描述符。现在编号 {fd} 可以分配给别的文件了：已经没有协程在等它。",
    "close.goes_on": "`{who}` 一直运行到结束。关闭不会引起切换；`reader` 排在就绪队列里，要等轮到它。",
    "close.thrown": "hub 切换到 `reader` 并抛出异常：在套接字关闭 {gap} 之后，EBADF 在 {at}、在 `recv` 中间抛出。",
    "close.failed": "所以 `recv` 既没有得到数据，也没有得到流的结尾，而是失败了：一个程序可以捕获的 `OSError`。",
    "close.remember": (
        "记住：关闭会用一个错误唤醒正在等待的协程，没有哪次等待会比它的文件描述符活得更久。"
        "如果你读的套接字可能被别的协程关闭，就要准备好处理 EBADF。"
    ),
    "close.fd?": "`closer` 关闭的是几号文件描述符？",
    "close.fd.right": "正确：fd {answer}。从这里开始，这个编号可能代表别的东西。",
    "close.fd.hint": "看看 `reader` 在等什么，或者找到关闭监视器的那一步。",
    "close.who?": "是谁让 `reader` 就绪的？",
    "close.who.right": "正确：是 `{who}`，就在 `close` 的过程中。内核和 hub 都没有参与。",
    "close.who.hint": "看看 `reader` 就绪的那一步，正在运行的是谁。",
    "close.throw?": "找到 EBADF 在 `reader` 里抛出的那一步。",
    "close.throw.right": "正确：抛出就发生在这次切换里，位置就是 `reader` 停住的地方。",
    "close.throw.hint": "关闭的那一步并不抛出异常：要先轮到 `reader` 运行。",
    # 7
    "hog.title": "霸占 hub 的协程",
    "hog.summary": "定时器不会打断谁。一个只顾计算、从不等待的协程，会让所有别的协程一起等。",
    "hog.punctual": (
        "`ticker` 想每 {ms} 响一次。定时器就是定时器，别的协程做什么都不影响它，很多人会这么想。第一次只晚了 {late}，"
        "几乎可以说准时。"
    ),
    "hog.armed": "它再次启动定时器：{ms} 之后到期。请记住这一点，再看看接下来是谁运行。",
    "hog.runs": "`hog` 从 {at} 继续，开始计算。它不调用任何会等待的函数，所以在它主动交还之前，hub 没有机会运行。",
    "hog.seen": (
        "hub 发现不了这件事，因为它没有在运行。发现的是 greenscope 的看门狗，一个独立的线程：`{who}` 已经运行了 {ran}，"
        "没有切换过。"
    ),
    "hog.ends": "{ran} 之后 `hog` 算完了，终于轮到 hub。`ticker` 的定时器早就该到期了。",
    "hog.fired": "这时 hub 才去看定时器，发现它已经晚了 {late}。定时器说的是“最早什么时候”，而从来不是“就在那个时候”。",
    "hog.remember": (
        "记住：在协程程序里，谁长时间计算，谁就让所有人停下：定时器、套接字、超时都不例外。"
        "长循环里要用 `sleep(0)` 让出，或者把工作交给线程或进程（见第 10 课）。"
    ),
    "hog.ticks?": "从 `hog` 开始计算到算完，`ticker` 运行了几次？",
    "hog.ticks.right": "正确：{answer} 次。只有正在运行的协程让出，别的协程才能运行。",
    "hog.ticks.hint": "从 `hog` 继续运行的那一步到它结束，数一数有几次切换到 `ticker`。",
    "hog.late?": "`ticker` 在 `hog` 计算之前启动的那个定时器，晚了多久才触发？",
    "hog.late.little": "不到 20 ms",
    "hog.late.more": "20 到 100 ms",
    "hog.late.much": "100 ms 以上",
    "hog.late.right": "正确：晚了 {late}。它赶上的那段运行有多长，它就会晚多久。",
    "hog.late.hint": "它是什么时候启动的，定了多长时间，hub 又是什么时候说它到期的？",
    "hog.back?": "找到 `hog` 开始计算之后第一次把控制权交还给 hub 的那一步。",
    "hog.back.right": "正确：在此之前的 {ran} 里，别的协程都不能运行。",
    "hog.back.hint": "协程在挂起、让出或结束时，把控制权交还给 hub。",
    # 8
    "deadlock.title": "两把锁的死锁，以及 LoopExit",
    "deadlock.summary": "两个协程各自等着对方手里的锁。hub 发现，再也没有什么能唤醒任何协程。",
    "deadlock.first": "`anna` 获得了锁 {lock}。一把锁能出什么事？持有它的协程早晚会释放，下一个就能得到它。",
    "deadlock.second": "`ben` 获得了锁 {lock}。现在两个协程各有一把，而且都还需要对方的那一把。",
    "deadlock.wants": (
        "`{who}` 在 {at} 请求获取锁 {lock}，而它由 `{holder}` 持有。于是它挂起，没有设超时："
        "反正 `{holder}` 会继续运行，然后释放它。"
    ),
    "deadlock.circle": (
        "可是 `{who}` 在 {at} 请求获取锁 {lock}，它由 `{holder}` 持有，于是也挂起了。这就形成了一个环："
        "每一个都在等对方先释放，而对方也要先等到自己的那一把。"
    ),
    "deadlock.over": (
        "hub 这里没有就绪的协程，没有计时中的定时器，没有启动的监视器，也没有别的线程会带来消息：此时再阻塞，就是永远。"
        "{count} 个协程全都在等，所以它放弃了。"
    ),
    "deadlock.thrown": (
        "LoopExit 在 `main` 里、在它等待两个协程的 {at} 抛出，程序因此结束。异常信息说明了谁在等什么、在哪一行。"
    ),
    "deadlock.remember": (
        "记住：在任何地方都按同样的顺序获取锁。也不要指望 LoopExit：一个监听端口的服务总有一个启动着的监视器，"
        "死锁的两个协程只会悄无声息地永远等下去（`greenscope diagnose` 能找到它们）。"
    ),
    "deadlock.count?": "hub 放弃的时候，有几个协程在等待？",
    "deadlock.count.right": "正确：{answer} 个。`main` 也在其中，它在等别的协程结束。",
    "deadlock.count.hint": "找到宣布 LoopExit 的那一步，数一数有几个挂起的协程，别忘了 `main`。",
    "deadlock.holder?": "最后挂起的那个协程等待的锁，由谁持有？",
    "deadlock.holder.right": "正确：由 `{holder}` 持有，而它自己也在等。",
    "deadlock.holder.hint": "看看形成环的那一步：它等待的锁旁边写着由谁持有。",
    "deadlock.closes?": "找到这样一步：从它以后，谁也不可能再继续了。",
    "deadlock.closes.right": "正确：在它之前，还有一个协程可能释放锁。又过了 {waited}，hub 才发现。",
    "deadlock.closes.hint": "它在 hub 放弃之前：是两个协程中后挂起的那一个。",
    # 9
    "fairness.title": "事件、队列与公平",
    "fairness.summary": "等得最久的先得到服务，而不需要等的会继续运行。请留意各个任务打印出来的顺序。",
    "fairness.waits": (
        "几个 worker 等待同一个事件，`{who}` 是第一个。事件设置之后谁先来？很多人会说：碰运气，这是竞争。"
    ),
    "fairness.opened": "`{by}` 在 {at} 设置了事件，等得最久的最先就绪：`{who}`。",
    "fairness.set": (
        "其余的按到来的先后跟上。设置一个事件，不过是把 {count} 个协程放进就绪队列：谁也还没有运行，`{who}` 接着运行。"
    ),
    "fairness.begins": "直到 `main` 自己开始等待，才轮到它们，顺序不变。第一个是 `{who}`。",
    "fairness.queues": "它向队列要一个任务，里面没有，于是再次挂起；其余的会排在它后面。",
    "fairness.given": "`{by}` 向队列放入一个任务，等得最久的 `{who}` 就绪。",
    "fairness.put": "看看这个队列：里面什么也不剩。这个任务已经归被唤醒的那个协程所有，中途路过的谁也拿不走。",
    "fairness.kept": "任务一个接一个地找到了自己的 worker，直到没有协程再等。这一个就留在了队列里。",
    "fairness.runs": "`{who}` 最先就绪，也最先运行，带着第一个任务。",
    "fairness.more": (
        "这里和很多人想的不一样。它去要下一个任务，立刻就拿到了，因为队列里正好有：它不需要等，也就不会切换，"
        "而后来被唤醒的那些还排在就绪队列里。"
    ),
    "fairness.remember": (
        "记住：在等待的协程当中，等得最久的先来。这种公平只对等待的协程有效；一个总能找到事做的协程，"
        "会一直运行到它不得不等为止。"
    ),
    "fairness.woken?": "`gate.set()` 让几个协程就绪了？",
    "fairness.woken.right": "正确：{answer} 个，等待它的全部就绪。而队列的 `put` 只唤醒一个。",
    "fairness.woken.hint": "数一数 `main` 让别的协程就绪的步骤，直到说明事件已经设置的那一步为止。",
    "fairness.next?": "`main` 刚把第一个任务放进队列，`{woken}` 就绪了。接下来运行的是谁？",
    "fairness.next.right": "正确：是 `{who}`。唤醒一个协程，并不等于切换到它。",
    "fairness.next.hint": "一步一步往下走，看看是谁在运行。",
    "fairness.second?": "找到第二个任务找到它的 worker 的那一步。",
    "fairness.second.right": "正确：此时等得最久的是 `{who}`。",
    "fairness.second.hint": "第一个任务已经让一个 worker 就绪，找到下一个这样的步骤。",
    # 10
    "threadpool.title": "把调用交给线程池",
    "threadpool.summary": "会阻塞、又不能协程化的调用，交给另一个线程去做；hub 照常工作。",
    "threadpool.put": (
        "普通的 `time.sleep` 会阻塞整个线程，所有协程都跟着停下，就像第 7 课那样。那就没办法了吗？`slow` 自己不调用它，"
        "而是在 {at} 把这次调用交给一个线程池。"
    ),
    "threadpool.parked": "然后它挂起，等待那个线程。对 hub 来说，这和别的等待没有两样：停下的只有 `{who}`。",
    "threadpool.blocks": (
        "hub 阻塞在内核里，直到某个定时器到期、某个套接字可读或可写，或者某个线程发来消息。对最后这一种，"
        "它也有一个监视器。"
    ),
    "threadpool.ticks": "`{who}` 照样准时，而另一个线程正卡在它的调用里。到那次调用结束为止，一共响了 {count} 次。",
    "threadpool.done": (
        "线程执行完了。它不能碰协程，因为协程属于 hub 的线程；所以它只是发来一条消息，hub 在询问内核时收到。"
    ),
    "threadpool.ready": "所以让 `{who}` 就绪的是 hub，此时距它交出那次调用过了 {waited}。",
    "threadpool.runs": "`{who}` 带着调用的结果从 {at} 继续，就像是它自己调用的一样。",
    "threadpool.remember": (
        "记住：会阻塞又不能协程化的调用，应该放到线程里。这对等待有效；对计算，只在 GIL 允许的范围内有效，用进程更好。"
    ),
    "threadpool.ticks?": "另一个线程工作期间，`ticker` 运行了几次？",
    "threadpool.ticks.right": "正确：{answer} 次。而在第 7 课里一次也没有。",
    "threadpool.ticks.hint": "从交出调用的那一步到它结束的那一步，数一数有几次切换到 `ticker`。",
    "threadpool.who?": "线程执行完之后，是谁让 `slow` 就绪的？",
    "threadpool.who.thread": "线程，它直接切换到了 `slow`",
    "threadpool.who.hub": "hub，它收到了线程的消息",
    "threadpool.who.other": "`ticker`，在它让出的时候",
    "threadpool.who.right": "正确：线程只能发消息。接下来运行谁，由 hub 在它自己的线程里决定。",
    "threadpool.who.hint": "看看 `slow` 就绪的那一步，正在运行的是谁。",
    "threadpool.heard?": "找到 hub 得知线程已经执行完的那一步。",
    "threadpool.heard.right": "正确：距调用交出去过了 {waited}。",
    "threadpool.heard.hint": "它在 `slow` 就绪之前：那次调用结束了，hub 得知了这一点。",
}
